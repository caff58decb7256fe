"""The contract of attentions over every member of the union, and an oracle from each written formula."""

import math
from dataclasses import replace
from typing import get_args

import pytest
import torch

from asrattn import attention
from asrattn.attention import AdditiveConfig, AttentionConfig, DotConfig, LocationConfig, MultiHeadConfig
from asrattn.attention.location import LocationAware

Q, D, T = 6, 10, 9
LENS = torch.tensor([9, 5])


def small(member):
    sizes = {"dim": 8, "heads": 2, "filters": 3, "kernel": 5}
    return replace(member(), **{k: v for k, v in sizes.items() if hasattr(member(), k)})


def make(config):
    torch.manual_seed(1)
    return attention.build(config, Q, D).eval().double()


@pytest.fixture(
    params=[small(m) for m in get_args(AttentionConfig)] + [DotConfig(dim=8, scaled=False)], ids=str
)
def attend(request):
    return make(request.param)


@pytest.fixture
def inputs():
    torch.manual_seed(2)
    mask = torch.arange(T) < LENS[:, None]
    values = torch.randn(2, T, D, dtype=torch.double) * mask[..., None]
    previous = torch.rand(6, T, dtype=torch.double) * mask.repeat_interleave(3, 0)
    return torch.randn(6, Q, dtype=torch.double), values, mask, previous / previous.sum(-1, keepdim=True)


def test_weights_are_a_distribution_over_real_frames(attend, inputs):
    query, values, mask, previous = inputs
    context, weights = attend(query, attend.prepare(values, mask), previous)
    assert context.shape == (6, attend.dim)
    torch.testing.assert_close(weights.double().sum(-1), torch.ones(6, dtype=torch.double), atol=1e-6, rtol=0)
    assert not weights[3:, 5:].any()
    assert weights.min() >= 0


def test_queries_beside_each_other_equal_one_by_one(attend, inputs):
    query, values, mask, previous = inputs
    context, weights = attend(query, attend.prepare(values, mask), previous)
    for n in range(6):
        b = n // 3
        memory = attend.prepare(values[b : b + 1, : LENS[b]], mask[b : b + 1, : LENS[b]])
        one, looked = attend(query[n : n + 1], memory, previous[n : n + 1, : LENS[b]])
        torch.testing.assert_close(context[n], one[0], atol=1e-6, rtol=1e-6)
        torch.testing.assert_close(weights[n, : LENS[b]], looked[0], atol=1e-6, rtol=1e-6)


def test_gradients_reach_query_values_and_weights(attend, inputs):
    query, values, mask, previous = inputs
    query, values = query.requires_grad_(), values.requires_grad_()
    context, _ = attend(query, attend.prepare(values, mask), previous)
    context.square().sum().backward()
    assert query.grad.abs().sum() > 0
    assert values.grad.abs().sum() > 0
    assert all(p.grad is not None and p.grad.isfinite().all() for p in attend.parameters())


def expected(scores, values):
    weights = torch.softmax(torch.tensor(scores, dtype=torch.double), 0)
    return weights, sum(w * v for w, v in zip(weights, values, strict=True))


def check(attend, inputs, score):
    """Every weight and context of the second query against scores computed frame by frame."""
    query, values, mask, previous = inputs
    context, weights = attend(query, attend.prepare(values, mask), previous)
    for n, b in ((1, 0), (4, 1)):
        frames = values[b, : LENS[b]]
        want, summed = expected(
            [score(query[n], frames[t], previous[n], t).item() for t in range(len(frames))], frames
        )
        torch.testing.assert_close(weights[n, : LENS[b]].double(), want, atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(context[n], summed, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("scaled", [True, False])
def test_dot_is_its_formula(inputs, scaled):
    a = make(DotConfig(dim=8, scaled=scaled))
    scale = math.sqrt(8) if scaled else 1
    check(a, inputs, lambda s, h, p, t: (a.query.weight @ s) @ (a.key.weight @ h) / scale)


def test_additive_is_its_formula(inputs):
    a = make(AdditiveConfig(dim=8))
    check(
        a,
        inputs,
        lambda s, h, p, t: a.score.weight[0] @ torch.tanh(a.query.weight @ s + a.key.weight @ h + a.key.bias),
    )


def test_location_is_its_formula(inputs):
    a = make(LocationConfig(dim=8, filters=3, kernel=5))

    def score(s, h, previous, t):
        look = [previous[t + k] if 0 <= t + k < T else 0.0 for k in range(-2, 3)]
        f = a.filters.weight @ torch.tensor(look, dtype=torch.double)
        return a.score.weight[0] @ torch.tanh(
            a.query.weight @ s + a.key.weight @ h + a.key.bias + a.location.weight @ f
        )

    check(a, inputs, score)


def written_out(attend, query, values, mask, previous):
    """The attentions with a hidden layer in as many words, for autograd to differentiate."""
    hidden = attend.key(values).repeat_interleave(len(query) // len(values), 0) + attend.query(query)[:, None]
    if isinstance(attend, LocationAware):
        filters = attend.filters.weight[:, None]
        look = torch.nn.functional.conv1d(previous[:, None], filters, padding=filters.shape[-1] // 2)
        hidden = hidden + attend.location(look.mT)
    mask, values = (x.repeat_interleave(len(query) // len(values), 0) for x in (mask, values))
    scores = attend.score(torch.tanh(hidden))[..., 0].masked_fill(~mask, float("-inf"))
    return (scores.softmax(-1)[:, None] @ values)[:, 0]


@pytest.mark.parametrize("beam", [1, 3])
@pytest.mark.parametrize("config", [small(AdditiveConfig), small(LocationConfig)], ids=str)
def test_gradients_of_a_hidden_layer_are_those_of_its_formula(config, beam, inputs):
    attend = make(config)
    query, values, mask, previous = inputs
    query, values, previous = (
        x.clone().requires_grad_() for x in (query[:: 3 // beam], values, previous[:: 3 // beam])
    )
    leaves = [
        query,
        values,
        *attend.parameters(),
        *([previous] if isinstance(config, LocationConfig) else []),
    ]
    context, _ = attend(query, attend.prepare(values, mask), previous)
    wanted = written_out(attend, query, values, mask, previous)
    torch.testing.assert_close(context, wanted, atol=1e-6, rtol=1e-5)
    upstream = torch.randn_like(context)
    found = torch.autograd.grad(context, leaves, upstream)
    for one, other in zip(found, torch.autograd.grad(wanted, leaves, upstream), strict=True):
        assert other.abs().sum() > 0
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-4)


def test_multihead_is_its_formula(inputs):
    a = make(MultiHeadConfig(dim=8, heads=2))
    query, values, mask, previous = inputs
    context, weights = a(query, a.prepare(values, mask), previous)
    keys, contents = (values[1, :5] @ a.key_value.weight.T + a.key_value.bias).chunk(2, -1)
    q = a.query.weight @ query[4] + a.query.bias
    heads = []
    looks = []
    for h in (slice(0, 4), slice(4, 8)):
        look, summed = expected([(q[h] @ keys[t, h] / 2).item() for t in range(5)], contents[:, h])
        heads.append(summed)
        looks.append(look)
    torch.testing.assert_close(context[4], a.out.weight @ torch.cat(heads) + a.out.bias, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(weights[4, :5].double(), sum(looks) / 2, atol=1e-6, rtol=1e-5)
