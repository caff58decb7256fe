"""Greedy search against a loop over utterances and tokens."""

import itertools

import pytest
import torch
from toys import ToyDecoder, utterances

from asrattn.decoding import DecodingConfig
from asrattn.decoding.beam_search import beam_search
from asrattn.decoding.greedy import ctc_greedy_search, greedy_search
from asrattn.decoding.hypothesis import Hypothesis
from asrattn.text import BLANK, EOS


def slowly(decoder: ToyDecoder, enc: torch.Tensor, n: int) -> Hypothesis:
    memory = decoder.prepare(enc[None, :n], torch.tensor([n]))
    state, token, total, said = decoder.start(memory), EOS, 0.0, []
    for _ in range(n + 1):
        logits, state = decoder.step(torch.tensor([token]), state, memory)
        row = logits[0].log_softmax(-1)
        token = int(row[1:].argmax()) + 1
        if token != EOS and len(said) == n:
            break
        total += float(row[token])
        if token == EOS:
            break
        said.append(token)
    return Hypothesis(tuple(said), total, {"attention": total})


@pytest.mark.parametrize("seed", range(5))
def test_greedy_takes_the_best_token_each_time(seed):
    enc, lens, _ = utterances(6, 9, 8, seed)
    decoder = ToyDecoder(8, seed=seed)
    for b, found in enumerate(greedy_search(decoder, enc, lens)):
        truth = slowly(decoder, enc[b], int(lens[b]))
        assert found.tokens == truth.tokens
        assert found.score == found.component_scores["attention"] == pytest.approx(truth.score, abs=1e-5)


def test_greedy_hears_nothing_in_no_frames():
    enc, _, _ = utterances(2, 4, 6)
    assert greedy_search(ToyDecoder(6), enc, torch.tensor([0, 4]))[0] == Hypothesis(
        (), 0.0, {"attention": 0.0}
    )


def test_ctc_greedy_collapses_the_best_path():
    _, lens, log_probs = utterances(20, 12, 4, seed=3)
    lens[-1] = 0
    for found, row, n in zip(ctc_greedy_search(log_probs, lens), log_probs, lens.tolist(), strict=True):
        row = row[:n].clone()
        row[:, EOS] = -torch.inf
        path = row.argmax(-1).tolist()
        assert found.tokens == tuple(t for t, _ in itertools.groupby(path) if t != BLANK)
        assert found.score == found.component_scores["ctc"] == pytest.approx(float(row.amax(-1).sum()))


def test_a_beam_of_one_is_greedy_or_better():
    """It takes the same way, but may stop where an earlier end scores better as a whole."""
    enc, lens, _ = utterances(40, 9, 8, seed=1)
    decoder = ToyDecoder(8, seed=4)
    beams = beam_search(decoder, enc, lens, None, DecodingConfig(beam_size=1))
    both = zip(greedy_search(decoder, enc, lens), beams, lens.tolist(), strict=True)
    ended = [(one, beam[0]) for one, beam, n in both if len(one.tokens) < n]
    assert len(ended) > 5
    for one, beam in ended:
        assert beam.tokens == one.tokens[: len(beam.tokens)]
        assert beam.score >= one.score - 1e-5
