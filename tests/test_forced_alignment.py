"""Alignment against the enumeration of all paths, against torchaudio, and against torch's CTC."""

import itertools
import math
import warnings
from collections import defaultdict

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asrattn import forced_alignment
from asrattn.errors import DataError
from asrattn.text import Spelling

V = 4
TEXTS = st.lists(st.integers(1, V - 1), max_size=3)


def posteriors(frames: int, seed: int) -> torch.Tensor:
    return torch.randn(frames, V, generator=torch.Generator().manual_seed(seed)).log_softmax(-1)


def paths(chain: forced_alignment.HMM, frames: int):
    """Every sequence of states that the chain allows, written out."""
    size = len(chain.labels)
    for path in itertools.product(range(size), repeat=frames):
        moves = [(a, b) for a, b in itertools.pairwise(path)]
        legal = all(b - a in (0, 1) or (b - a == 2 and chain.skips[b]) for a, b in moves)
        if legal and path[0] < chain.initial_count and path[-1] >= size - chain.final_count:
            yield path


CHAINS = {
    "ctc": forced_alignment.ctc_topology,
    "one frame, blanks": lambda text: forced_alignment.min_duration_topology(text, 1),
    "two frames, blanks": lambda text: forced_alignment.min_duration_topology(text, 2),
    "two frames, no blank": lambda text: forced_alignment.min_duration_topology(text, 2, blank=None),
}


@pytest.mark.parametrize("kind", CHAINS)
@settings(max_examples=25)
@given(TEXTS.filter(len), st.integers(1, 5), st.integers(0, 99))
def test_viterbi_and_occupancy_equal_the_enumeration_of_all_paths(
    kind: str, text: list[int], frames: int, seed: int
) -> None:
    chain, log_probs = CHAINS[kind](text), posteriors(frames, seed)
    batch, lens = forced_alignment.collate([chain]), torch.tensor([frames])
    path, best = forced_alignment.viterbi(log_probs[None], lens, batch)
    occupied, total = forced_alignment.forward_backward(log_probs[None], lens, batch)
    scored = {
        p: sum(log_probs[t, chain.labels[s]].item() for t, s in enumerate(p)) for p in paths(chain, frames)
    }
    if not scored:
        assert best == total == -math.inf
        assert not occupied.any()
        return
    assert best.item() == pytest.approx(max(scored.values()), abs=1e-4)
    assert scored[tuple(path[0].tolist())] == pytest.approx(best.item(), abs=1e-4)
    sums = math.log(sum(math.exp(s) for s in scored.values()))
    assert total.item() == pytest.approx(sums, abs=1e-4)
    wanted: dict[tuple[int, int], float] = defaultdict(float)
    for p, score in scored.items():
        for t, s in enumerate(p):
            wanted[t, s] += math.exp(score - sums)
    for t in range(frames):
        for s in range(len(chain.labels)):
            assert occupied[0, t, s].item() == pytest.approx(wanted[t, s], abs=1e-4)


@settings(max_examples=30)
@given(TEXTS.filter(len), st.integers(6, 30), st.integers(0, 99))
def test_ctc_is_that_of_torch_and_torchaudio(text: list[int], frames: int, seed: int) -> None:
    log_probs = posteriors(frames, seed)[None]
    lens, tokens = torch.tensor([frames]), torch.tensor([text])
    chains = forced_alignment.collate([forced_alignment.ctc_topology(text)])
    _, total = forced_alignment.forward_backward(log_probs, lens, chains)
    loss = torch.nn.functional.ctc_loss(
        log_probs.transpose(0, 1), tokens, lens, torch.tensor([len(text)]), blank=0, reduction="sum"
    )
    assert -total.item() == pytest.approx(loss.item(), abs=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torchaudio.functional as AF

        labels, scores = AF.forced_align(log_probs, tokens, lens, torch.tensor([len(text)]), blank=0)
    path, best = forced_alignment.viterbi(log_probs, lens, chains)
    assert best.item() == pytest.approx(scores.sum().item(), abs=1e-3)
    assert chains.labels[0, path[0]].tolist() == labels[0].tolist()


def test_a_batch_equals_one_by_one() -> None:
    texts, lens = [[1, 2, 2], [3], [1, 3]], torch.tensor([9, 4, 7])
    log_probs = torch.stack([posteriors(9, seed) for seed in range(3)])
    chains = forced_alignment.collate([forced_alignment.ctc_topology(text) for text in texts])
    path, best = forced_alignment.viterbi(log_probs, lens, chains)
    occupied, total = forced_alignment.forward_backward(log_probs, lens, chains)
    for b, (text, length) in enumerate(zip(texts, lens.tolist(), strict=True)):
        one = forced_alignment.collate([forced_alignment.ctc_topology(text)])
        alone = log_probs[b : b + 1, :length], torch.tensor([length]), one
        torch.testing.assert_close(forced_alignment.viterbi(*alone)[0][0], path[b, :length])
        torch.testing.assert_close(forced_alignment.viterbi(*alone)[1][0], best[b])
        states = len(one.labels[0])
        torch.testing.assert_close(
            forced_alignment.forward_backward(*alone)[0][0], occupied[b, :length, :states]
        )
        torch.testing.assert_close(forced_alignment.forward_backward(*alone)[1][0], total[b])
        assert not path[b, length:].any()
        assert not occupied[b, length:].any()
        torch.testing.assert_close(occupied[b, :length].sum(-1), torch.ones(length))


def test_spans_are_where_the_posteriors_say() -> None:
    said = [0, 1, 1, 0, 2, 2, 2, 0, 2, 0]
    log_probs = torch.full((1, 12, V), math.log(0.01))
    for t, token in enumerate(said):
        log_probs[0, t, token] = math.log(0.97)
    (found,) = forced_alignment.forced_align(log_probs, torch.tensor([10]), [[1, 2, 2]])
    assert [(s.token, s.start, s.end) for s in found] == [(1, 1, 3), (2, 4, 7), (2, 8, 9)]
    assert all(s.score == pytest.approx(math.log(0.97)) for s in found)
    assert forced_alignment.forced_align(log_probs, torch.tensor([10]), [[]]) == [[]]


def test_a_text_that_does_not_fit_is_told() -> None:
    with pytest.raises(DataError, match="3 tokens do not fit into 3 encoder frames"):
        forced_alignment.forced_align(posteriors(3, 0)[None], torch.tensor([3]), [[1, 1, 2]])


def test_tokens_keep_their_least_duration() -> None:
    chain = forced_alignment.min_duration_topology([1, 2], min_frames=3)
    path, _ = forced_alignment.viterbi(
        posteriors(9, 5)[None], torch.tensor([9]), forced_alignment.collate([chain])
    )
    said = [chain.tokens[s] for s in path[0].tolist()]
    assert said.count(0) >= 3
    assert said.count(1) >= 3


def test_spans_of_labels_merge_to_spans_of_tokens() -> None:
    rows = ((), (), (2,), (), (2, 3), (3,))
    log_probs = posteriors(9, 5)[None]
    lens, text = torch.tensor([9]), [3, 4, 3, 5, 3]
    (labels,) = forced_alignment.forced_align(log_probs, lens, [[2, 3, 3]])
    (found,) = forced_alignment.align_tokens(log_probs, lens, [text], Spelling(rows))
    assert [span.token for span in found] == text
    first, last = (labels[0].start, labels[1].end), (labels[2].start, labels[2].end)
    edges = [(span.start, span.end) for span in found]
    assert edges == [(0, 0), first, (first[1],) * 2, last, (last[1],) * 2]
    frames = [span.end - span.start for span in labels[:2]]
    mean = sum(span.score * n for span, n in zip(labels, frames, strict=False)) / sum(frames)
    assert found[1].score == pytest.approx(mean)
    assert found[3].score == labels[2].score
    same = forced_alignment.align_tokens(log_probs, lens, [[2, 3, 3]], Spelling())
    assert same == [labels]
