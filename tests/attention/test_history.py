"""Attentions that go on from where they were, against their formulas written out frame by frame."""

import itertools
import math
from typing import Any

import pytest
import torch
from attention_cases import LENS, make, queries, run_steps, utterances
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from asrattn.attention import (
    CoverageAttentionConfig,
    ForwardAttentionConfig,
    GMMAttentionConfig,
    MoChAConfig,
    MonotonicAttentionConfig,
)
from asrattn.attention.linear_recurrence import linear_recurrence


def layer(attend: Any, query: Tensor, frames: Tensor, rows: slice = slice(None)) -> Tensor:
    """tanh(W s + V h_t + b), or some rows of it: (T, A)."""
    hidden = attend.query.weight @ query + frames @ attend.key.weight.T + attend.key.bias
    return torch.tanh(hidden[:, rows])


def same(attend: Any, wanted: list[list[Tensor]], steps: int = 3) -> None:
    """wanted[b][u] (T,) are the weights of utterance b at step u; the context is their sum over the frames."""
    values, mask = utterances()
    contexts, weights, _ = run_steps(attend, queries(steps), values, mask)
    for b, u in itertools.product(range(2), range(steps)):
        torch.testing.assert_close(weights[u][b, : LENS[b]], wanted[b][u])
        torch.testing.assert_close(contexts[u][b], wanted[b][u] @ values[b, : LENS[b]])


@torch.no_grad()
def test_coverage_is_its_formula() -> None:
    a = make(CoverageAttentionConfig(dim=8))
    wanted: list[list[Tensor]] = []
    for b in range(2):
        frames, past = utterances()[0][b, : LENS[b]], []
        for query in queries(3):
            read = sum(past) if past else torch.zeros(len(frames)).double()
            hidden = a.query.weight @ query[b] + frames @ a.key.weight.T + a.key.bias
            hidden = hidden + torch.stack([a.coverage.weight[:, 0] * c for c in read])
            past.append((torch.tanh(hidden) @ a.score.weight[0]).softmax(0))
        wanted.append(past)
    same(a, wanted)


@torch.no_grad()
def test_gmm_is_its_formula() -> None:
    a = make(GMMAttentionConfig(dim=8, components=3, step=1.5, width=1.2))

    def normal(x: float) -> float:
        return (1 + math.erf(x / math.sqrt(2))) / 2

    def softplus(x: float) -> float:
        return math.log1p(math.exp(x))

    wanted: list[list[Tensor]] = []
    for b in range(2):
        means, found = [0.0, 0.0, 0.0], []
        for query in queries(3):
            hidden = torch.tanh(a.query.weight @ query[b] + a.query.bias)
            shares, steps, widths = (a.mixture.weight @ hidden + a.mixture.bias).view(3, 3)
            means = [mean + softplus(step) for mean, step in zip(means, steps.tolist(), strict=True)]
            sigmas = [softplus(width) + 0.1 for width in widths.tolist()]
            weights = torch.zeros(int(LENS[b])).double()
            for w, mu, sigma in zip(shares.softmax(0).tolist(), means, sigmas, strict=True):
                for t in range(len(weights)):
                    weights[t] += w * (normal((t + 1 - mu) / sigma) - normal((t - mu) / sigma))
            found.append(weights)
        wanted.append(found)
    same(a, wanted)


@torch.no_grad()
def test_gmm_begins_with_its_step_and_width_and_close_to_the_density() -> None:
    a = make(GMMAttentionConfig(dim=8, components=1, step=7.0, width=5.0))
    a.mixture.weight.zero_()
    values, mask = torch.zeros(1, 60, 10).double(), torch.ones(1, 60, dtype=torch.bool)
    _, weights, state = run_steps(a, [torch.zeros(1, 6).double()] * 3, values, mask)
    torch.testing.assert_close(state.means, torch.tensor([[21.0]]).double())
    middle = torch.arange(60).double() + 0.5
    density = torch.exp(-((middle - 21) ** 2) / (2 * 5**2)) / math.sqrt(2 * math.pi * 5**2)
    torch.testing.assert_close(weights[2][0], density, atol=1e-3, rtol=0)
    assert weights[2].sum() == pytest.approx(1, abs=1e-4)


@torch.no_grad()
def test_a_gaussian_narrower_than_a_frame_gives_it_no_more_than_one() -> None:
    a = make(GMMAttentionConfig(dim=8, components=1, step=3.5))
    a.mixture.weight.zero_()
    a.mixture.bias[2] = -300.0
    values, mask = utterances()
    _, weights, _ = run_steps(a.float(), [torch.zeros(2, 6)], values.float(), mask)
    torch.testing.assert_close(weights[0], torch.eye(9)[[3, 3]])


def stops(a: Any, query: Tensor, frames: Tensor, rows: slice = slice(None)) -> Tensor:
    """e_t of monotonic attention (T,)."""
    v = a.score.weight[0, rows]
    return layer(a, query, frames, rows) @ v * a.gain / (v @ v).sqrt() + a.offset


def random_monotonic(config: MonotonicAttentionConfig | MoChAConfig) -> Any:
    a = make(config, seed=5)
    with torch.no_grad():
        a.gain.fill_(4.0)
    return a


def expectation(p: list[Tensor]) -> list[Tensor]:
    """α_{u,t} = p_{u,t} Σ_{k≤t} α_{u-1,k} Π_{k≤l<t} (1 - p_{u,l}), in so many words."""
    T = len(p[0])
    past = [1.0] + [0.0] * (T - 1)
    found = []
    for row in p:
        past = [
            float(row[t])
            * sum(past[k] * math.prod(1 - float(row[j]) for j in range(k, t)) for k in range(t + 1))
            for t in range(T)
        ]
        found.append(torch.tensor(past).double())
    return found


@torch.no_grad()
def test_monotonic_is_its_formula() -> None:
    a = random_monotonic(MonotonicAttentionConfig(dim=8, noise=0.0))
    frames = [utterances()[0][b, : LENS[b]] for b in range(2)]
    energies = [[stops(a, query[b], frames[b]) for query in queries(4)] for b in range(2)]
    same(a, [expectation([e.sigmoid() for e in rows]) for rows in energies], steps=4)
    hard = [expectation([(e > 0).double() for e in rows]) for rows in energies]
    assert [int(alpha.argmax()) if alpha.any() else None for alpha in hard[1]] == [0, 2, 2, None]
    same(a.eval(), hard, steps=4)


def walks(p: list[Tensor]) -> list[tuple[float, list[int | None]]]:
    """Every outcome of all decisions, with its probability and where each token stopped."""
    T = len(p[0])
    found = []
    for z in itertools.product((0, 1), repeat=T * len(p)):
        flat = torch.cat(p).tolist()
        chance = math.prod(q if drawn else 1 - q for drawn, q in zip(z, flat, strict=True))
        at: int | None = 0
        stopped = []
        for u in range(len(p)):
            ahead = range(at, T) if at is not None else ()
            at = next((t for t in ahead if z[u * T + t]), None)
            stopped.append(at)
        found.append((chance, stopped))
    return found


@torch.no_grad()
@pytest.mark.parametrize("chunk", [1, 2, 3])
def test_the_expectation_is_the_mean_over_all_decisions(chunk: int) -> None:
    """Two tokens over five frames: 1,024 ways to decide, of which training takes the mean."""
    a = random_monotonic(MoChAConfig(dim=8, chunk=chunk, noise=0.0))
    values, mask = utterances()
    frames, asked = values[1, :5], queries(2)
    rows = slice(0, 8)
    p = [stops(a, query[1], frames, rows).sigmoid() for query in asked]
    wanted = torch.zeros(2, 5).double()
    for chance, stopped in walks(p):
        for u, k in enumerate(stopped):
            if k is not None:
                around = range(max(0, k - chunk + 1), k + 1)
                if chunk > 1:
                    scores = layer(a, asked[u][1], frames, slice(8, 16)) @ a.score.weight[0, 8:]
                    shares = scores[list(around)].softmax(0)
                else:
                    shares = torch.ones(1).double()
                wanted[u, list(around)] += chance * shares
    _, weights, _ = run_steps(a, asked, values, mask)
    torch.testing.assert_close(torch.stack(weights)[:, 1, :5], wanted)


@torch.no_grad()
def test_mocha_is_its_formula() -> None:
    """β_t = Σ_{k=t}^{t+w-1} α_k exp(u_t) / Σ_{l=k-w+1}^{k} exp(u_l), at inference with the one α that is decided."""
    a = random_monotonic(MoChAConfig(dim=8, chunk=3, noise=0.0))
    for hard in (False, True):
        wanted = []
        for b in range(2):
            frames = utterances()[0][b, : LENS[b]]
            energies = [stops(a, query[b], frames, slice(0, 8)) for query in queries(3)]
            alphas = expectation([(e > 0).double() if hard else e.sigmoid() for e in energies])
            found = []
            for query, alpha in zip(queries(3), alphas, strict=True):
                u = (layer(a, query[b], frames, slice(8, 16)) @ a.score.weight[0, 8:]).exp()
                beta = torch.zeros_like(u)
                for t in range(len(u)):
                    for k in range(t, min(t + 3, len(u))):
                        beta[t] += alpha[k] * u[t] / u[max(0, k - 2) : k + 1].sum()
                found.append(beta)
            wanted.append(found)
        same(a.train(not hard), wanted)


def test_noise_is_added_in_training_only() -> None:
    a = make(MonotonicAttentionConfig(dim=8, noise=1.0))
    asked, (values, mask) = queries(2), utterances()

    def weights() -> Tensor:
        return torch.stack(run_steps(a, asked, values, mask)[1])

    assert not torch.allclose(weights(), weights())
    a.eval()
    torch.testing.assert_close(weights(), weights(), atol=0, rtol=0)


@torch.no_grad()
def test_forward_is_its_formula() -> None:
    a = make(ForwardAttentionConfig(dim=8, max_advance=2))
    wanted: list[list[Tensor]] = []
    for b in range(2):
        frames, found = utterances()[0][b, : LENS[b]], []
        past = torch.eye(len(frames)).double()[0]
        for query in queries(3):
            y = (layer(a, query[b], frames) @ a.score.weight[0]).softmax(0)
            moved = torch.stack([sum(past[max(0, t - 2) : t + 1]) * y[t] for t in range(len(y))])
            past = moved / moved.sum()
            found.append(past)
        wanted.append(found)
    same(a, wanted)
    assert wanted[0][0][3:].sum() == 0 < wanted[0][1][3:].sum()


def loop(keep: Tensor, new: Tensor) -> Tensor:
    q, found = torch.zeros(()).double(), []
    for a, b in zip(keep, new, strict=True):
        q = a * q + b
        found.append(q)
    return torch.stack(found)


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.3, 0.9, 1.0]), st.floats(0, 1)), min_size=1, max_size=40))
def test_the_recurrence_and_its_gradient_are_those_of_a_loop(pairs: list[tuple[float, float]]) -> None:
    keep, new = (torch.tensor(x).double().requires_grad_() for x in zip(*pairs, strict=True))
    found, wanted = linear_recurrence(keep, new), loop(keep, new)
    torch.testing.assert_close(found, wanted)
    upstream = torch.linspace(-1, 1, len(pairs)).double()
    for one, other in zip(
        torch.autograd.grad(found, (keep, new), upstream),
        torch.autograd.grad(wanted, (keep, new), upstream, materialize_grads=True),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


def test_the_recurrence_outlives_products_that_vanish() -> None:
    """Two thousand frames in single precision, where the product of all `keep` is far below any number."""
    torch.manual_seed(0)
    keep, new = torch.rand(2000), torch.rand(2000)
    assert keep.prod() == 0
    torch.testing.assert_close(linear_recurrence(keep, new), loop(keep.double(), new.double()).float())
