"""Attentions without a path of their own, against their formulas written out frame by frame."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from attention_cases import LENS, make, queries, run_steps, utterances
from torch import Tensor

from asrattn.attention import (
    AdditiveAttentionConfig,
    ConcatAttentionConfig,
    CosineAttentionConfig,
    DotAttentionConfig,
    FixedContextConfig,
    GeneralAttentionConfig,
    LocationAwareAttentionConfig,
    MultiHeadAttentionConfig,
)

Score = Callable[[Tensor, Tensor, int, list[Tensor], slice], Tensor]
"""query (Q,), frames (T, D), t, a head's earlier weights [(T,), …], its share of the hidden layer -> its score."""


@torch.no_grad()
def check(attend: Any, score: Score, heads: int = 1, dim: int = 8) -> None:
    """Every weight and context of three steps against scores computed one by one."""
    values, mask = utterances()
    asked = queries(3)
    contexts, weights, _ = run_steps(attend, asked, values, mask)
    for b in range(2):
        frames = values[b, : LENS[b]]
        past: list[list[Tensor]] = [[] for _ in range(heads)]
        for u, query in enumerate(asked):
            found = []
            for h in range(heads):
                share = slice(h * dim // heads, (h + 1) * dim // heads)
                scores = [score(query[b], frames, t, past[h], share) for t in range(len(frames))]
                past[h].append(torch.softmax(torch.stack(scores), 0))
                read = frames if heads == 1 else attend.heads.value(frames).chunk(heads, -1)[h]
                found.append(sum(w * v for w, v in zip(past[h][-1], read, strict=True)))
            mean = sum(looks[-1] for looks in past) / heads
            torch.testing.assert_close(weights[u][b, : LENS[b]], mean)
            context = torch.cat(found)
            torch.testing.assert_close(contexts[u][b], attend.heads.out(context) if heads > 1 else context)


@pytest.mark.parametrize("scaled", [True, False])
def test_dot_is_its_formula(scaled: bool) -> None:
    a = make(DotAttentionConfig(dim=8, scaled=scaled))
    scale = math.sqrt(8) if scaled else 1
    check(a, lambda s, h, t, past, i: (a.query.weight @ s) @ (a.key.weight @ h[t]) / scale)


@pytest.mark.parametrize("heads", [1, 2])
def test_general_is_its_formula(heads: int) -> None:
    a = make(GeneralAttentionConfig(heads=heads))
    check(a, lambda s, h, t, past, i: s[i] @ (a.key.weight[i] @ h[t]) / len(s[i]) ** 0.5, heads, dim=6)


@pytest.mark.parametrize("heads", [1, 2])
def test_additive_is_its_formula(heads: int) -> None:
    a = make(AdditiveAttentionConfig(dim=8, heads=heads))

    def score(s: Tensor, h: Tensor, t: int, past: list[Tensor], i: slice) -> Tensor:
        hidden = torch.tanh(a.query.weight @ s + a.key.weight @ h[t] + a.key.bias)
        return a.score.weight[0, i] @ hidden[i]

    check(a, score, heads)


@pytest.mark.parametrize("heads", [1, 2])
def test_concat_is_its_formula(heads: int) -> None:
    a = make(ConcatAttentionConfig(heads=heads))

    def score(s: Tensor, h: Tensor, t: int, past: list[Tensor], i: slice) -> Tensor:
        w = torch.cat((a.query.weight, a.key.weight), 1)[i.start]
        return w @ torch.cat((s, h[t]))

    check(a, score, heads, dim=heads)


@pytest.mark.parametrize("heads", [1, 2])
def test_cosine_is_its_formula(heads: int) -> None:
    a = make(CosineAttentionConfig(dim=8, heads=heads))
    with torch.no_grad():
        a.log_scale += torch.randn_like(a.log_scale)

    def score(s: Tensor, h: Tensor, t: int, past: list[Tensor], i: slice) -> Tensor:
        q, k = a.query.weight[i] @ s, a.key.weight[i] @ h[t]
        g = a.log_scale.exp()[i.start * heads // 8, 0, 0]
        return g * (q @ k) / (q @ q).sqrt() / (k @ k).sqrt()

    check(a, score, heads)


@pytest.mark.parametrize("heads", [1, 2])
def test_location_is_its_formula(heads: int) -> None:
    a = make(LocationAwareAttentionConfig(dim=8, filters=3, kernel=5, heads=heads))

    def score(s: Tensor, h: Tensor, t: int, past: list[Tensor], i: slice) -> Tensor:
        previous = past[-1] if past else torch.full((len(h),), 1 / len(h))
        around = [previous[t + k] if 0 <= t + k < len(previous) else 0.0 for k in range(-2, 3)]
        f = a.filters.weight @ torch.tensor(around).double()
        hidden = a.query.weight @ s + a.key.weight @ h[t] + a.key.bias + a.location.weight @ f
        return a.score.weight[0, i] @ torch.tanh(hidden)[i]

    check(a, score, heads)


def test_multihead_is_its_formula() -> None:
    a = make(MultiHeadAttentionConfig(dim=8, heads=2))
    values, mask = utterances()
    (query,) = queries(1)
    (context,), (weights,), _ = run_steps(a, [query], values, mask)
    keys, contents = (values[1, :5] @ a.key_value.weight.T + a.key_value.bias).chunk(2, -1)
    q = a.query.weight @ query[1] + a.query.bias
    heads, looks = [], []
    for h in (slice(0, 4), slice(4, 8)):
        looks.append(torch.softmax(torch.stack([q[h] @ keys[t, h] / 2 for t in range(5)]), 0))
        heads.append(sum(w * v for w, v in zip(looks[-1], contents[:, h], strict=True)))
    torch.testing.assert_close(context[1], a.out.weight @ torch.cat(heads) + a.out.bias)
    torch.testing.assert_close(weights[1, :5], sum(looks) / 2)


def test_a_fixed_context_is_the_mean_or_the_last_frame_for_every_query() -> None:
    values, mask = utterances()
    for kind, wanted in (
        ("mean", torch.stack((values[0].mean(0), values[1, :5].mean(0)))),
        ("last", torch.stack((values[0, 8], values[1, 4]))),
    ):
        contexts, weights, _ = run_steps(make(FixedContextConfig(kind)), queries(2), values, mask)
        for context, where in zip(contexts, weights, strict=True):
            torch.testing.assert_close(context, wanted)
            assert (where > 0).sum(-1).tolist() == ([9, 5] if kind == "mean" else [1, 1])
