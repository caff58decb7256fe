"""Measures of attention: their ends, and each against its formula, one number at a time."""

import math

import pytest
import torch

from asrattn.attention import measures

LENS, TOKENS = torch.tensor([12, 7]), torch.tensor([4, 3])


def padded(rows: list[list[list[float]]]) -> torch.Tensor:
    found = torch.zeros(2, 4, 12)
    for b, matrix in enumerate(rows):
        for u, row in enumerate(matrix):
            found[b, u, : len(row)] = torch.tensor(row)
    return found


@pytest.fixture
def weights() -> torch.Tensor:
    torch.manual_seed(0)
    return padded([torch.rand(t, s).softmax(-1).tolist() for t, s in ((4, 12), (3, 7))])


def one_hot(frames: list[list[int]]) -> torch.Tensor:
    found = torch.zeros(2, 4, 12)
    for b, row in enumerate(frames):
        for u, t in enumerate(row):
            found[b, u, t] = 1
    return found


def test_focus_is_its_formula(weights: torch.Tensor) -> None:
    wanted = []
    for b in range(2):
        size, count = int(LENS[b]), int(TOKENS[b])
        entropies = [-sum(w * math.log(w) for w in weights[b, u, :size].tolist()) for u in range(count)]
        wanted.append(1 - sum(entropies) / count / math.log(size))
    torch.testing.assert_close(measures.focus(weights, TOKENS, LENS), torch.tensor(wanted))


def test_focus_is_one_on_a_frame_and_nothing_when_it_looks_everywhere() -> None:
    torch.testing.assert_close(
        measures.focus(one_hot([[1, 2, 3, 4], [0, 1, 2]]), TOKENS, LENS), torch.ones(2)
    )
    even = padded([[[1 / 12] * 12] * 4, [[1 / 7] * 7] * 3])
    torch.testing.assert_close(measures.focus(even, TOKENS, LENS), torch.zeros(2), atol=1e-6, rtol=0)


def test_monotonicity_counts_steps_back() -> None:
    found = measures.monotonicity(one_hot([[0, 5, 3, 8], [0, 2, 1]]), TOKENS)
    torch.testing.assert_close(found, torch.tensor([2 / 3, 1.0]))  # one frame back is allowed
    alone = measures.monotonicity(one_hot([[0], [3]]), torch.tensor([1, 1]))
    torch.testing.assert_close(alone, torch.ones(2))


def test_diagonality_is_its_formula_and_has_a_gradient(weights: torch.Tensor) -> None:
    wanted = []
    for b in range(2):
        size, count = int(LENS[b]), int(TOKENS[b])
        off = sum(
            weights[b, u, t].item()
            * (1 - math.exp(-(((u + 0.5) / count - (t + 0.5) / size) ** 2) / (2 * 0.2**2)))
            for u in range(count)
            for t in range(size)
        )
        wanted.append(1 - off / count)
    found = measures.diagonality(weights.requires_grad_(), TOKENS, LENS)
    torch.testing.assert_close(found.detach(), torch.tensor(wanted))
    found.sum().backward()
    assert weights.grad is not None
    assert weights.grad.abs().sum() > 0
    assert not weights.grad[1, 3].any()


def test_the_diagonal_is_better_than_what_lies_across() -> None:
    along, across = one_hot([[1, 4, 7, 10], [1, 3, 5]]), one_hot([[10, 7, 4, 1], [6, 3, 1]])
    straight, crossed = (measures.diagonality(w, TOKENS, LENS) for w in (along, across))
    assert (straight > 0.98).all()
    assert (crossed < 0.6).all()


def test_read_tells_what_was_skipped_and_what_was_read_twice() -> None:
    borders = torch.tensor([[0, 3, 6, 9, 12], [0, 2, 4, 7, 7]])
    found = measures.token_coverage(one_hot([[1, 4, 5, 10], [0, 2, 5]]), borders)
    torch.testing.assert_close(found, torch.tensor([[1.0, 2, 0, 1], [1, 1, 1, 0]]))


def test_agreement_with_an_alignment() -> None:
    starts, ends = torch.tensor([[1, 4, 7, 10], [0, 2, 5, 0]]), torch.tensor([[2, 5, 8, 11], [1, 3, 6, 0]])
    weights = one_hot([[1, 6, 7, 5], [0, 3, 5]])
    torch.testing.assert_close(
        measures.agreement(weights, TOKENS, starts, ends, tolerance=0), torch.tensor([0.5, 2 / 3])
    )
    torch.testing.assert_close(
        measures.agreement(weights, TOKENS, starts, ends, tolerance=2), torch.tensor([0.75, 1.0])
    )
