"""Positions against their formulas."""

import math

import pytest
import torch

from asrattn.errors import DataError
from asrattn.layers.positions import MAX_LEARNED_FRAMES, AddedPositions, sinusoids
from asrattn.layers.self_attention import SelfAttention


def written(layer, x):
    """((q_i + u)·k_j + (q_i + v)·W r_{i-j}) / √d, one pair after the other."""
    _, L, D = x.shape
    d = D // layer.heads
    q, k, v = layer.qkv(x)[0].view(L, 3, layer.heads, d).permute(1, 2, 0, 3)
    heads = []
    for h in range(layer.heads):
        scores = torch.empty(L, L)
        for i in range(L):
            for j in range(L):
                angles = [(i - j) / 10000 ** (2 * n / D) for n in range(D // 2)]
                r = torch.tensor([f(a) for a in angles for f in (math.sin, math.cos)])
                place = (layer.relative.project.weight @ r)[h * d : (h + 1) * d]
                content = (q[h, i] + layer.relative.content[h, 0]) @ k[h, j]
                scores[i, j] = (content + (q[h, i] + layer.relative.place[h, 0]) @ place) / math.sqrt(d)
        heads.append(scores.softmax(-1) @ v[h])
    return layer.out(torch.cat(heads, dim=-1))


@pytest.fixture
def relative():
    torch.manual_seed(0)
    layer = SelfAttention(8, heads=2, dropout=0.0, rotary=False, relative=True)
    for p in layer.parameters():
        torch.nn.init.normal_(p)
    return layer


@pytest.mark.parametrize("length", [1, 2, 7])
def test_relative_positions_are_the_written_formula(relative, length):
    x = torch.randn(1, length, 8)
    found = relative(x, torch.ones(1, 1, length, dtype=torch.bool))[0]
    torch.testing.assert_close(found, written(relative, x), atol=1e-4, rtol=1e-4)


def test_relative_positions_with_dropout_are_the_same_scores(relative):
    relative.dropout.p = 1e-9  # takes the other way through the layer, and drops nothing
    x = torch.randn(1, 7, 8)
    torch.testing.assert_close(
        relative(x, torch.ones(1, 1, 7, dtype=torch.bool))[0], written(relative, x), atol=1e-4, rtol=1e-4
    )


def test_added_positions_are_what_they_say():
    torch.manual_seed(0)
    x, real = torch.randn(2, 70, 6), torch.arange(70) < torch.tensor([[70], [40]])
    torch.testing.assert_close(AddedPositions("sinusoidal", 6)(x, real), x + sinusoids(70, 6))
    assert torch.equal(AddedPositions("none", 6)(x, real), x)
    learned = AddedPositions("learned", 6)
    torch.testing.assert_close(learned(x, real), x + learned.table[:70])
    layer = AddedPositions("convolutional", 6)
    weight, bias = layer.depthwise.weight[:, 0, 0], layer.depthwise.bias
    for b, t in ((0, 0), (0, 35), (0, 69), (1, 39)):
        total = bias.clone()
        for k in range(63):
            if 0 <= t + k - 31 < real[b].sum():
                total += weight[:, k] * x[b, t + k - 31]
        torch.testing.assert_close(
            layer(x, real)[b, t], x[b, t] + torch.nn.functional.gelu(total), atol=1e-5, rtol=1e-4
        )


def test_learned_positions_end_somewhere_and_say_so():
    layer, long = AddedPositions("learned", 2), MAX_LEARNED_FRAMES + 1
    with pytest.raises(DataError, match=f"{long} frames: learned positions end at {MAX_LEARNED_FRAMES}"):
        layer(torch.zeros(1, long, 2), torch.ones(1, long, dtype=torch.bool))
