"""CTC scores of tokens that several labels spell: against all alignments, the recursion, an exhaustive search."""

import itertools
import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_beam_search import WIDE, same
from toys import (
    F64,
    Bigram,
    Reward,
    ToyDecoder,
    ctc_by_alignments,
    ctc_by_recursion,
    exhaustive,
    spell,
    utterances,
)

from asrattn.decoders import RecurrentDecoderConfig
from asrattn.decoders.interface import build
from asrattn.decoding import DecodingConfig, early_stop
from asrattn.decoding.beam_search import beam_search
from asrattn.decoding.scorers import WeightedScorer, select_rows
from asrattn.decoding.spelled_ctc import SpelledCTCScorer
from asrattn.errors import ConfigError
from asrattn.text import EOS

# Tokens of no label, one, several, repeated ones, and one that is a prefix of another.
TABLE = torch.tensor([[-1, -1, -1], [-1, -1, -1], [2, -1, -1], [3, -1, -1], [3, 4, -1], [-1] * 3, [4, 4, 3]])
V, LABELS = len(TABLE), 5
REAL = list(range(2, V))


@pytest.fixture(params=["frames", "labels"], autouse=True)
def loop(request, monkeypatch):
    """Both ways to score the candidates, whatever the device."""
    if request.param == "labels":
        build_scorer = SpelledCTCScorer.from_log_probs
        monkeypatch.setattr(
            SpelledCTCScorer, "from_log_probs", lambda *args: build_scorer(*args)._replace(probs=None)
        )


def follow(log_probs: torch.Tensor, lens: torch.Tensor, texts: list[list[int]]) -> list[torch.Tensor]:
    """texts (N, U), all of one length -> ψ of every continuation of every prefix, and the complete one's score,
    U + 1 times (N, V + 1)."""
    scorer = SpelledCTCScorer.from_log_probs(log_probs, lens)
    state = scorer.start(len(texts))
    prefix, tokens = torch.zeros(len(texts), 1, dtype=F64), torch.full((len(texts),), EOS)
    candidates = torch.tensor(REAL).expand(len(texts), -1)
    found = []
    for place in range(len(texts[0]) + 1):
        increments, ends, state = scorer.score(state, tokens, candidates, TABLE)
        found.append(prefix + torch.cat((increments, ends[:, None]), 1))
        if place < len(texts[0]):
            tokens = torch.tensor([text[place] for text in texts])
            prefix = found[-1].gather(1, tokens[:, None] - REAL[0])
    return found


def test_prefix_scores_are_sums_over_all_alignments():
    _, _, log_probs = utterances(1, 4, LABELS, seed=1)
    log_probs[..., EOS] = -torch.inf
    log_probs = log_probs.log_softmax(-1)
    whole = ctc_by_alignments(log_probs[0])
    for text in itertools.chain.from_iterable(itertools.product(REAL, repeat=U) for U in range(3)):
        scores = follow(log_probs, torch.tensor([4]), [list(text)])[-1][0].exp().tolist()
        assert scores.pop() == pytest.approx(whole.get(spell(text, TABLE), 0.0), rel=1e-9, abs=1e-300)
        for token, score in zip(REAL, scores, strict=True):
            begun = spell((*text, token), TABLE)
            truth = sum(p for labels, p in whole.items() if labels[: len(begun)] == begun)
            assert score == pytest.approx(truth, rel=1e-9, abs=1e-300)


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    T=st.integers(1, 14),
    text=st.lists(st.sampled_from(REAL), max_size=5),
    scale=st.sampled_from([0.1, 2.0, 20.0]),
)
def test_prefix_scores_equal_the_recursion(seed, T, text, scale):
    _, lens, log_probs = utterances(3, T, LABELS, seed, scale)
    for u, scores in enumerate(follow(log_probs, lens, [text] * 6)):
        for b, count in enumerate(lens.tolist()):
            row = scores[2 * b]
            torch.testing.assert_close(row, scores[2 * b + 1], rtol=0, atol=0)
            frames, labels = log_probs[b, :count], spell(tuple(text[:u]), TABLE)
            assert float(row[-1]) == pytest.approx(ctc_by_recursion(frames, labels)[1], abs=1e-9, rel=1e-11)
            for token, score in zip(REAL, row.tolist(), strict=False):
                truth = ctc_by_recursion(frames, (*labels, *spell((token,), TABLE)))[0]
                # Beyond e^-700 below the best a continuation may count as impossible.
                if truth > -600 or math.isinf(truth):
                    assert score == pytest.approx(truth, abs=1e-9, rel=1e-11)


def test_states_follow_the_hypotheses_and_utterances_leave():
    _, lens, log_probs = utterances(2, 9, LABELS, seed=6)
    direct = follow(log_probs, lens, [[3, 4], [4, 6], [5, 3], [2, 4]])
    scorer = SpelledCTCScorer.from_log_probs(log_probs, lens)
    candidates = torch.tensor(REAL).expand(4, -1)
    _, _, state = scorer.score(scorer.start(4), torch.full((4,), EOS), candidates, TABLE)
    rows = torch.tensor([3, 2])
    kept = select_rows(scorer, torch.tensor([1]))
    state = select_rows(state, rows)
    _, _, state = kept.score(state, torch.tensor([2, 5]), candidates[:2], TABLE)
    increments, _, _ = kept.score(state, torch.tensor([4, 3]), candidates[:2], TABLE)
    before = direct[1][rows].gather(1, torch.tensor([[4], [3]]) - REAL[0])
    torch.testing.assert_close(increments, direct[2][rows][:, :-1] - before, rtol=0, atol=1e-9)


@pytest.mark.parametrize("ctc", [0.3, 0.9])
@pytest.mark.parametrize(("length_bonus", "normalize"), [(0.0, 0.0), (1.5, 0.0), (-0.5, 0.4), (0.3, 1.0)])
def test_wide_beam_is_an_exhaustive_search(ctc, length_bonus, normalize):
    enc, lens, log_probs = utterances(2, 4, LABELS, seed=11)
    decoder = ToyDecoder(V, seed=1)
    config = replace(WIDE, ctc=ctc, length_bonus=length_bonus, length_norm=normalize, ctc_pre_beam=V)
    truth = exhaustive(decoder, enc, lens, log_probs, config, table=TABLE)
    same(beam_search(decoder, enc, lens, log_probs, config, labels=TABLE), truth)


def test_fused_scorers_join_the_exhaustive_search():
    enc, lens, log_probs = utterances(2, 3, LABELS, seed=12)
    decoder = ToyDecoder(V, seed=2)
    scorers = (
        WeightedScorer("bigram", Bigram(V), 0.7),
        WeightedScorer("hot", Reward(V, 3, 2.0), 0.5, ceiling=2.0),
    )
    for config in (replace(WIDE, ctc_pre_beam=V), replace(WIDE, length_norm=0.5, min_length=1)):
        truth = exhaustive(decoder, enc, lens, log_probs, config, scorers, TABLE)
        same(beam_search(decoder, enc, lens, log_probs, config, scorers, TABLE), truth)


configs = st.builds(
    DecodingConfig,
    beam_size=st.integers(1, 5),
    nbest=st.integers(1, 3),
    ctc=st.sampled_from([0.3, 0.8]),
    length_bonus=st.sampled_from([0.0, 0.5, 3.0, -1.0]),
    length_norm=st.sampled_from([0.0, 0.5, 1.0]),
    max_length=st.sampled_from([0.4, 1.0]),
    min_length=st.integers(0, 2),
    ctc_pre_beam=st.sampled_from([0, 1, 3, 20]),
)


@settings(max_examples=25)
@given(config=configs, seed=st.integers(0, 10**6), scale=st.sampled_from([1.5, 8.0]))
def test_one_by_one_is_the_same_and_stopping_early_changes_nothing(config, seed, scale):
    enc, lens, log_probs = utterances(3, 8, LABELS, seed)
    decoder = ToyDecoder(V, seed=seed, scale=scale)
    scorers = (WeightedScorer("hot", Reward(V, 4, 0.4), 0.5, ceiling=0.4),)
    found = beam_search(decoder, enc, lens, log_probs, config, scorers, TABLE)
    for b, n in enumerate(lens.tolist()):
        one = slice(b, b + 1)
        alone = beam_search(decoder, enc[one, :n], lens[one], log_probs[one, :n], config, scorers, TABLE)
        same(found[one], alone)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            early_stop.ScoreUpperBound,
            "upper_bound",
            lambda self, totals, parts, length: totals[:, 0] + torch.inf,
        )
        same(beam_search(decoder, enc, lens, log_probs, config, scorers, TABLE), found)


def test_labels_that_are_the_tokens_score_as_without_labels():
    enc, lens, log_probs = utterances(3, 8, V, seed=9)
    decoder = ToyDecoder(V, seed=4)
    own = torch.arange(V)[:, None].masked_fill(torch.arange(V)[:, None] <= EOS, -1)
    config = DecodingConfig(beam_size=4, nbest=3, ctc_pre_beam=V)
    found = beam_search(decoder, enc, lens, log_probs, config, labels=own)
    same(found, beam_search(decoder, enc, lens, log_probs, replace(config, ctc_pre_beam=0)))


def test_padding_frames_change_nothing():
    enc, lens, log_probs = utterances(3, 7, LABELS, seed=21)
    decoder = ToyDecoder(V)
    config = DecodingConfig(beam_size=4, nbest=3, length_bonus=0.2)
    padded = beam_search(
        decoder,
        torch.cat((enc, torch.full((3, 50, 2), 9.0)), 1),
        lens,
        torch.cat((log_probs, torch.full((3, 50, LABELS), 3.0)), 1),
        config,
        labels=TABLE,
    )
    same(padded, beam_search(decoder, enc, lens, log_probs, config, labels=TABLE))


def test_impossible_labels_are_never_and_nothing_is_nan():
    log_probs = torch.zeros(1, 3, LABELS, dtype=F64)
    log_probs[..., 4] = -torch.inf
    log_probs = log_probs.log_softmax(-1)
    for text in ([4, 2], [2, 2, 2], [6, 3]):
        assert (follow(log_probs, torch.tensor([3]), [text])[-1] == -torch.inf).all()


def test_ctc_alone_needs_the_decoder():
    enc, lens, log_probs = utterances(1, 3, LABELS)
    with pytest.raises(ConfigError, match="ctc is 1"):
        beam_search(ToyDecoder(V), enc, lens, log_probs, DecodingConfig(ctc=1.0), labels=TABLE)


@pytest.mark.gpu
def test_the_accelerator_finds_the_same(accelerator):
    enc, lens, log_probs = utterances(5, 20, LABELS, seed=28)
    torch.manual_seed(0)
    decoder = build(RecurrentDecoderConfig(), enc.shape[2], V).eval()
    config = DecodingConfig(beam_size=4, nbest=3)
    here = beam_search(decoder, enc, lens, log_probs, config, labels=TABLE)
    there = [x.to(accelerator) for x in (enc, lens, log_probs)]
    found = beam_search(decoder.to(accelerator), *there, config, labels=TABLE.to(accelerator))
    same(found, here, tolerance=1e-3)
