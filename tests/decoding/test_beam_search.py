"""Beam search against exhaustive search, against itself one by one, and against running to the end."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import Bigram, Reward, ToyDecoder, exhaustive, utterances

from asrattn.decoders import RecurrentDecoderConfig, TransformerDecoderConfig
from asrattn.decoders.interface import build
from asrattn.decoding import DecodingConfig, early_stop
from asrattn.decoding.beam_search import beam_search
from asrattn.decoding.hypothesis import Hypothesis
from asrattn.decoding.scorers import WeightedScorer
from asrattn.errors import ConfigError
from asrattn.text import BLANK, EOS

WIDE = DecodingConfig(beam_size=10**6, nbest=4)


def same(found: list[list[Hypothesis]], wanted: list[list[Hypothesis]], tolerance: float = 1e-9) -> None:
    assert len(found) == len(wanted)
    for ours, theirs in zip(found, wanted, strict=True):
        assert [h.tokens for h in ours] == [h.tokens for h in theirs]
        for a, b in zip(ours, theirs, strict=True):
            assert a.score == pytest.approx(b.score, abs=tolerance)
            assert a.component_scores == pytest.approx(b.component_scores, abs=tolerance)


@pytest.mark.parametrize("ctc", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(("length_bonus", "normalize"), [(0.0, 0.0), (1.5, 0.0), (-0.5, 0.4), (0.3, 1.0)])
def test_a_wide_beam_is_an_exhaustive_search(ctc, length_bonus, normalize):
    V = 5
    enc, lens, log_probs = utterances(3, 5, V, seed=11)
    decoder = ToyDecoder(V, seed=1)
    config = replace(WIDE, ctc=ctc, length_bonus=length_bonus, length_norm=normalize)
    truth = exhaustive(decoder, enc, lens, log_probs, config)
    same(beam_search(decoder, enc, lens, log_probs, config), truth)


def test_fused_scorers_join_the_exhaustive_search():
    enc, lens, log_probs = utterances(2, 4, 5, seed=12)
    decoder = ToyDecoder(5, seed=2)
    scorers = (
        WeightedScorer("bigram", Bigram(5), 0.7),
        WeightedScorer("hot", Reward(5, 3, 2.0), 0.5, ceiling=2.0),
    )
    for config in (WIDE, replace(WIDE, ctc=0.0), replace(WIDE, length_norm=0.5, min_length=1)):
        truth = exhaustive(decoder, enc, lens, log_probs, config, scorers)
        same(beam_search(decoder, enc, lens, log_probs, config, scorers), truth)


def test_a_model_is_taken_away_down_to_a_floor():
    """Its total is the sum of its log-probabilities, none below the floor."""
    enc, lens, log_probs = utterances(2, 4, 5, seed=16)
    decoder, less, oracle = ToyDecoder(5, seed=2), Bigram(5), Bigram(5)
    oracle.table = less.table.clamp(min=-2.0)
    assert less.table.min() < -2.5
    for config in (WIDE, replace(WIDE, ctc=0.0, length_norm=0.5)):
        truth = exhaustive(decoder, enc, lens, log_probs, config, (WeightedScorer("less", oracle, -0.4),))
        found = beam_search(
            decoder, enc, lens, log_probs, config, (WeightedScorer("less", less, -0.4, floor=-2.0),)
        )
        same(found, truth)


def test_decoder_alone_needs_no_ctc():
    enc, lens, _ = utterances(2, 4, 5, seed=13)
    decoder = ToyDecoder(5, seed=3)
    truth = exhaustive(decoder, enc, lens, None, WIDE)
    same(beam_search(decoder, enc, lens, None, WIDE), truth)
    assert set(truth[0][0].component_scores) == {"attention"}


def test_ctc_alone_never_steps_the_decoder():
    enc, lens, log_probs = utterances(2, 6, 5, seed=14)
    decoder = ToyDecoder(5)
    config = DecodingConfig(ctc=1.0)
    found = beam_search(decoder, enc, lens, log_probs, config)
    assert decoder.steps == 0
    assert set(found[0][0].component_scores) == {"ctc"}
    same(beam_search(None, enc, lens, log_probs, config), found)


configs = st.builds(
    DecodingConfig,
    beam_size=st.integers(1, 6),
    nbest=st.integers(1, 3),
    ctc=st.sampled_from([0.0, 0.3, 0.8, 1.0]),
    length_bonus=st.sampled_from([0.0, 0.5, 3.0, -1.0]),
    length_norm=st.sampled_from([0.0, 0.5, 1.0]),
    max_length=st.sampled_from([0.4, 1.0, 1.3]),
    min_length=st.integers(0, 3),
    ctc_pre_beam=st.sampled_from([0, 3]),
)


@settings(max_examples=25)
@given(config=configs, seed=st.integers(0, 10**6), scale=st.sampled_from([1.5, 8.0]))
def test_one_by_one_is_the_same_and_stopping_early_changes_nothing(config, seed, scale):
    V = 7
    enc, lens, log_probs = utterances(3, 9, V, seed)
    decoder = ToyDecoder(V, seed=seed, scale=scale)
    scorers = (
        WeightedScorer("hot", Reward(V, 4, 0.4), 0.5, ceiling=0.4),
        WeightedScorer("less", Bigram(V), -0.2, floor=-3.0),
    )
    found = beam_search(decoder, enc, lens, log_probs, config, scorers)
    for b, n in enumerate(lens.tolist()):
        one = slice(b, b + 1)
        alone = beam_search(decoder, enc[one, :n], lens[one], log_probs[one, :n], config, scorers)
        same(found[one], alone)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            early_stop.ScoreUpperBound,
            "upper_bound",
            lambda self, totals, parts, length: totals[:, 0] + torch.inf,
        )
        same(beam_search(decoder, enc, lens, log_probs, config, scorers), found)


@settings(max_examples=15)
@given(config=configs, seed=st.integers(0, 10**6))
def test_hypotheses_are_what_they_claim(config, seed):
    V = 7
    enc, lens, log_probs = utterances(3, 8, V, seed)
    for n, hypotheses in zip(
        lens.tolist(), beam_search(ToyDecoder(V), enc, lens, log_probs, config), strict=True
    ):
        scores = [h.score for h in hypotheses]
        assert 1 <= len(hypotheses) <= config.nbest
        assert scores == sorted(scores, reverse=True)
        assert len({h.tokens for h in hypotheses}) == len(hypotheses)
        for h in hypotheses:
            if h.score == -torch.inf:
                assert h.tokens == ()
                continue
            assert config.min_length <= len(h.tokens) <= max(int(n * config.max_length), config.min_length, 1)
            assert not {BLANK, EOS} & set(h.tokens)
            shares = {"attention": 1 - config.ctc, "ctc": config.ctc}
            total = sum(shares[name] * value for name, value in h.component_scores.items())
            total += config.length_bonus * len(h.tokens)
            assert h.score == pytest.approx(total / (len(h.tokens) + 1) ** config.length_norm, abs=1e-9)


def test_padding_frames_change_nothing():
    V = 8
    enc, lens, log_probs = utterances(3, 7, V, seed=21)
    decoder = ToyDecoder(V)
    config = DecodingConfig(beam_size=4, nbest=3, length_bonus=0.2)
    padded = beam_search(
        decoder,
        torch.cat((enc, torch.full((3, 50, 2), 9.0)), 1),
        lens,
        torch.cat((log_probs, torch.full((3, 50, V), 3.0)), 1),
        config,
    )
    same(padded, beam_search(decoder, enc, lens, log_probs, config))


def test_a_wider_beam_of_candidates_ends_at_the_full_search():
    V = 40
    enc, lens, log_probs = utterances(4, 8, V, seed=22)
    decoder = ToyDecoder(V, scale=3.0)
    full = beam_search(decoder, enc, lens, log_probs, DecodingConfig(beam_size=3))
    same(beam_search(decoder, enc, lens, log_probs, DecodingConfig(beam_size=3, ctc_pre_beam=V)), full)
    same(beam_search(decoder, enc, lens, log_probs, DecodingConfig(beam_size=3, ctc_pre_beam=V - 3)), full)
    few = beam_search(decoder, enc, lens, log_probs, DecodingConfig(beam_size=3, ctc_pre_beam=4))
    assert all(a[0].score <= b[0].score + 1e-9 for a, b in zip(few, full, strict=True))


def test_repeated_tokens_are_found():
    """CTC that is sure of A A B: two As need the blank between them, which only frames 0-4 have."""
    V, path = 5, [3, BLANK, 3, 4, 4]
    log_probs = torch.full((1, 5, V), -9.0)
    log_probs[0, torch.arange(5), torch.tensor(path)] = 3.0
    found = beam_search(
        None, torch.zeros(1, 5, 2), torch.tensor([5]), log_probs.log_softmax(-1), DecodingConfig(ctc=1.0)
    )
    assert found[0][0].tokens == (3, 3, 4)


def test_no_frames_and_one_frame():
    V = 6
    enc, _, log_probs = utterances(3, 4, V, seed=23)
    lens = torch.tensor([0, 1, 4])
    found = beam_search(ToyDecoder(V), enc, lens, log_probs, DecodingConfig())
    assert found[0] == [Hypothesis((), 0.0, {"attention": 0.0, "ctc": 0.0})]
    assert len(found[1][0].tokens) <= 1
    assert found[2][0].score > -torch.inf
    none = beam_search(ToyDecoder(V), enc, lens * 0, log_probs, DecodingConfig(ctc=0.0))
    assert none == [[Hypothesis((), 0.0, {"attention": 0.0})]] * 3
    assert beam_search(ToyDecoder(V), enc[:0], lens[:0], log_probs[:0], DecodingConfig()) == []


def test_where_nothing_is_possible_the_score_says_so():
    enc, _, log_probs = utterances(2, 3, 6, seed=24)
    lens = torch.tensor([3, 1])
    found = beam_search(ToyDecoder(6), enc, lens, log_probs, DecodingConfig(min_length=2, nbest=2))
    assert found[0][0].score > -torch.inf
    assert found[1] == [Hypothesis((), -torch.inf, {"attention": -torch.inf, "ctc": -torch.inf})]


def test_decided_utterances_leave_the_batch():
    """The decoder must see fewer hypotheses once the short utterances are decided."""
    sizes = []

    class Watched(ToyDecoder):
        def step(self, tokens, state, memory):
            sizes.append(len(tokens))
            return super().step(tokens, state, memory)

    enc, _, log_probs = utterances(4, 20, 6, seed=25)
    beam_search(
        Watched(6), enc, torch.tensor([20, 2, 2, 2]), log_probs, DecodingConfig(beam_size=4, min_length=8)
    )
    assert sizes[0] == 4
    assert max(sizes) == 16
    assert sizes[-1] == 4


def test_many_utterances_of_many_lengths_are_each_as_alone():
    """Few leave at a time here: the decided ones stay in the batch for a while and must say no more."""
    B, V = 24, 6
    enc, lens, log_probs = utterances(B, 12, V, seed=28)
    lens = torch.tensor([12] * 20 + [4, 5, 7, 7])
    decoder = ToyDecoder(V)
    config = DecodingConfig(beam_size=3, nbest=2, length_bonus=4.0, max_length=0.8)
    found = beam_search(decoder, enc, lens, log_probs, config)
    for b in range(B):
        one = slice(b, b + 1)
        same(found[one], beam_search(decoder, enc[one], lens[one], log_probs[one], config))


def test_the_bound_sees_a_bonus_that_is_still_to_come():
    """The first token is dear, those behind it earn their bonus: ending at once looks best for many steps."""

    class Dear(ToyDecoder):
        def step(self, tokens, state, memory):
            logits, state = super().step(tokens, state, memory)
            logits = torch.zeros_like(logits)
            if state.count[0][0] == 1:
                logits[:, EOS] = 20.0
            return logits, state

    enc, lens, _ = utterances(1, 12, 5)
    config = DecodingConfig(beam_size=2, length_bonus=5.0)
    assert len(beam_search(Dear(5), enc, lens, None, config)[0][0].tokens) == 12
    assert beam_search(Dear(5), enc, lens, None, replace(config, length_bonus=1.0))[0][0].tokens == ()


def test_what_cannot_be_searched_is_told():
    enc, lens, log_probs = utterances(1, 3, 5)
    with pytest.raises(ConfigError, match="without a decoder"):
        beam_search(None, enc, lens, log_probs, DecodingConfig(ctc=0.5))
    with pytest.raises(ConfigError, match="without a decoder"):
        beam_search(None, enc, lens, None, DecodingConfig(ctc=1.0))
    endless = WeightedScorer("bigram", Bigram(5), -1.0, floor=-torch.inf)
    with pytest.raises(ConfigError, match="bigram has no finite upper bound"):
        beam_search(ToyDecoder(5), enc, lens, log_probs, DecodingConfig(), (endless,))
    for bad in (
        {"beam_size": 0},
        {"ctc": 1.5},
        {"length_norm": -1},
        {"nbest": 0},
        {"max_length": 0},
        {"ctc_pre_beam": -1},
    ):
        with pytest.raises(ConfigError, match=next(iter(bad))):
            DecodingConfig(**bad)


def test_a_scorer_of_no_weight_takes_no_part():
    enc, lens, log_probs = utterances(2, 5, 6, seed=26)
    scorer = Reward(6, 3, -torch.inf)
    found = beam_search(
        ToyDecoder(6), enc, lens, log_probs, DecodingConfig(), (WeightedScorer("hot", scorer, 0.0),)
    )
    same(found, beam_search(ToyDecoder(6), enc, lens, log_probs, DecodingConfig()))


def test_a_bound_that_knows_the_ctc_stops_long_before_the_limit():
    """With a length bonus the bare bound would run to one token for each of the 120 frames."""
    V, T = 8, 120
    log_probs = torch.randn(1, T, V, generator=torch.Generator().manual_seed(0))
    log_probs[0, :, BLANK] += 12.0
    log_probs[0, 5::20, BLANK] -= 24.0
    decoder = ToyDecoder(V)
    config = DecodingConfig(beam_size=4, ctc=0.5, length_bonus=1.0, length_norm=0.5)
    found = beam_search(decoder, torch.zeros(1, T, 2), torch.tensor([T]), log_probs.log_softmax(-1), config)
    assert len(found[0][0].tokens) == 6
    assert decoder.steps < 40


@pytest.mark.gpu
def test_the_accelerator_finds_the_same(accelerator):
    enc, lens, log_probs = utterances(5, 30, 20, seed=27)
    config = DecodingConfig(ctc=1.0, beam_size=6, nbest=3, length_bonus=0.1)
    there = [x.to(accelerator) for x in (enc, lens, log_probs)]
    same(beam_search(None, *there, config), beam_search(None, enc, lens, log_probs, config))


@pytest.mark.gpu
@pytest.mark.parametrize(
    "config", [RecurrentDecoderConfig(dim=16, embedding=8), TransformerDecoderConfig(dim=16)]
)
@pytest.mark.parametrize("candidates", [0, 5])
def test_the_accelerator_finds_the_same_with_a_decoder(accelerator, config, candidates):
    enc, lens, log_probs = utterances(5, 30, 20, seed=28)
    torch.manual_seed(0)
    decoder = build(config, enc.shape[2], 20).eval()
    search = DecodingConfig(beam_size=6, nbest=3, length_norm=0.5, ctc_pre_beam=candidates)
    here = beam_search(decoder, enc, lens, log_probs, search)
    there = [x.to(accelerator) for x in (enc, lens, log_probs)]
    same(beam_search(decoder.to(accelerator), *there, search), here, tolerance=1e-3)
