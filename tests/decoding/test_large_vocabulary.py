"""Large vocabularies: choosing the best tokens of each hypothesis first changes no result."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_beam_search import configs, same
from toys import Bigram, Reward, ToyDecoder, utterances

from asrattn.decoding import DecodingConfig, joint_scorer
from asrattn.decoding.beam_search import beam_search
from asrattn.decoding.greedy import greedy_search
from asrattn.decoding.joint_scorer import CHUNK_TOKENS, best_tokens
from asrattn.decoding.scorers import WeightedScorer
from asrattn.text import BLANK, EOS


@settings(max_examples=40)
@given(config=configs, seed=st.integers(0, 10**6), V=st.sampled_from([4, 7, 30, 500]), fused=st.booleans())
def test_best_tokens_first_is_the_same_search(config, seed, V, fused):
    enc, lens, log_probs = utterances(3, 6, V, seed)
    decoder = ToyDecoder(V, seed=seed)
    scorers = (
        WeightedScorer("hot", Reward(V, 3, 0.4), 0.5, ceiling=0.4),
        WeightedScorer("less", Bigram(V), -0.2, floor=-3.0),
    )
    scorers = scorers if fused else ()
    ctc = log_probs if config.ctc in (0.3, 1.0) else None
    config = config if ctc is not None else DecodingConfig(**{**vars(config), "ctc": 0.0})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(joint_scorer, "MIN_LARGE_VOCABULARY", 10**9)
        wanted = beam_search(decoder, enc, lens, ctc, config, scorers)
        patch.setattr(joint_scorer, "MIN_LARGE_VOCABULARY", 1)
        same(beam_search(decoder, enc, lens, ctc, config, scorers), wanted)


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    V=st.sampled_from([3, 5, CHUNK_TOKENS, 40 * CHUNK_TOKENS - 1, 60 * CHUNK_TOKENS, 60 * CHUNK_TOKENS + 7]),
    count=st.integers(1, 12),
    impossible=st.booleans(),
)
def test_best_tokens_are_those_of_a_full_sort(seed, V, count, impossible):
    scores = torch.randn(4, V, generator=torch.Generator().manual_seed(seed))
    scores[:, (BLANK, EOS)] += 9.0
    if impossible:
        scores[:, EOS + 1 :] = scores[:, EOS + 1 :].where(scores[:, EOS + 1 :] > 0, -torch.inf)
    found = best_tokens(scores, count)
    masked = scores.clone()
    masked[:, (BLANK, EOS)] = -torch.inf
    wanted = masked.topk(min(count, V - 2)).values
    torch.testing.assert_close(masked.gather(1, found).sort(1, descending=True).values, wanted)


@pytest.mark.parametrize("ctc", [0.0, 0.4])
def test_decoder_limits_the_tokens(ctc):
    V = 6
    enc, lens, log_probs = utterances(3, 9, V, seed=3)
    decoder = ToyDecoder(V, seed=2)
    config = DecodingConfig(beam_size=3, nbest=3, length_bonus=20.0, ctc=ctc)
    free = beam_search(decoder, enc, lens, log_probs, config)
    assert len(free[0][0].tokens) == 9
    decoder.max_tokens = 4
    decoder.steps = 0
    found = beam_search(decoder, enc, lens, log_probs, config)
    assert [len(h[0].tokens) for h in found] == [min(n, 4) for n in lens.tolist()]
    assert decoder.steps == 5
    shorter = DecodingConfig(**{**vars(config), "max_length": 4 / 9})
    same(found[:1], beam_search(decoder, enc[:1], lens[:1], log_probs[:1], shorter))


def test_decoder_limits_greedy_search():
    class Endless(ToyDecoder):
        def step(self, tokens, state, memory):
            logits, state = super().step(tokens, state, memory)
            return logits.index_fill(1, torch.tensor([EOS]), -50.0), state

    enc, _, _ = utterances(2, 9, 6, seed=3)
    decoder = Endless(6)
    decoder.max_tokens = 4
    found = greedy_search(decoder, enc, torch.tensor([9, 2]))
    assert [len(h.tokens) for h in found] == [4, 2]
