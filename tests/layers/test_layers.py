"""Shared layers against their formulas."""

import math
from itertools import product

import pytest
import torch

from asrattn import weights
from asrattn.errors import ConfigError
from asrattn.layers import linear
from asrattn.layers.convolution import Convolution
from asrattn.layers.dropout import Dropout
from asrattn.layers.gemm_backend import GemmBackends
from asrattn.layers.kv_cache import KeyValues
from asrattn.layers.linear import Linear, prepack_weights
from asrattn.layers.positions import rotate, sinusoids
from asrattn.layers.self_attention import SelfAttention


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", ["rows", "batch", "transposed", "expanded", "one"])
@pytest.mark.parametrize("worth", [1, 10**9])
@pytest.mark.parametrize("backends", list(product(("onednn", "mkl"), repeat=2)), ids=str)
def test_linear_is_its_formula_and_so_is_its_gradient(shape, bias, worth, backends, monkeypatch):
    monkeypatch.setattr(linear, "MIN_FLOPS_FOR_ONEDNN", worth)
    monkeypatch.setattr(linear, "gemm_backends", lambda: GemmBackends(*backends))
    torch.manual_seed(0)
    x = {
        "rows": torch.randn(7, 5),
        "batch": torch.randn(2, 3, 5),
        "transposed": torch.randn(5, 7).T,
        "expanded": torch.randn(1, 3, 5).expand(4, 3, 5),
        "one": torch.randn(5),
    }[shape]
    layer = Linear(5, 6, bias=bias)
    inputs = [x.detach().requires_grad_(), *layer.parameters()]
    exact = [p.detach().double().requires_grad_() for p in inputs]
    out = layer(inputs[0])
    written = (exact[0][..., None, :] * exact[1]).sum(-1) + (exact[2] if bias else 0)
    torch.testing.assert_close(out, written.float())
    push = torch.randn(out.shape)
    found, want = torch.autograd.grad(out, inputs, push), torch.autograd.grad(written, exact, push.double())
    for ours, theirs in zip(found, want, strict=True):
        torch.testing.assert_close(ours, theirs.float())
    with torch.inference_mode():
        torch.testing.assert_close(layer(x), written.float())


@pytest.mark.parametrize("worth", [1, 10**9])
def test_weights_in_columns_are_the_same_weights(worth, monkeypatch, tmp_path):
    monkeypatch.setattr(linear, "MIN_FLOPS_FOR_ONEDNN", worth)
    torch.manual_seed(0)
    layer, x = torch.nn.Sequential(Linear(5, 6)), torch.randn(7, 5)
    with torch.inference_mode():
        out = layer(x)
    weights.save(tmp_path / "rows", layer, {})
    prepack_weights(layer)
    assert layer[0].weight.stride() == (1, 6)
    with torch.inference_mode():
        torch.testing.assert_close(layer(x), out)
    torch.testing.assert_close(layer(x), out)
    weights.save(tmp_path / "columns", layer, {})
    assert (tmp_path / "columns").read_bytes() == (tmp_path / "rows").read_bytes()


def test_linear_of_nothing_is_nothing(monkeypatch):
    monkeypatch.setattr(linear, "MIN_FLOPS_FOR_ONEDNN", 1)
    layer = Linear(5, 6)
    assert layer(torch.zeros(0, 5)).shape == (0, 6)


def test_linear_follows_autocast_and_other_types(monkeypatch):
    monkeypatch.setattr(linear, "MIN_FLOPS_FOR_ONEDNN", 1)
    layer, x = Linear(5, 6), torch.randn(3, 5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16
    assert layer.double()(x.double()).dtype == torch.float64


def test_sinusoids_are_the_written_formula():
    table = sinusoids(5, 6, start=2)
    for p in range(5):
        for i in range(3):
            angle = (p + 2) / 10000 ** (2 * i / 6)
            assert table[p, 2 * i].item() == pytest.approx(math.sin(angle), abs=1e-6)
            assert table[p, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-6)


def test_rotary_products_depend_on_the_distance_only():
    torch.manual_seed(0)
    q, k = torch.randn(1, 8), torch.randn(1, 8)
    near = (rotate(q, 3) @ rotate(k, 1).T).item()
    assert (rotate(q, 43) @ rotate(k, 41).T).item() == pytest.approx(near, abs=1e-4)
    assert (rotate(q, 5) @ rotate(k, 1).T).item() != pytest.approx(near, abs=1e-3)


def test_rotary_positions_are_the_written_formula_and_so_is_their_gradient():
    torch.manual_seed(0)
    x = torch.randn(2, 5, 6, requires_grad=True)
    angles = torch.arange(3, 8)[:, None] / 10000 ** (torch.arange(3) / 3)
    turned = torch.complex(x[..., :3], x[..., 3:]) * torch.polar(torch.ones(5, 3), angles)
    written = torch.cat((turned.real, turned.imag), dim=-1)
    found = rotate(x, 3)
    torch.testing.assert_close(found, written)
    push = torch.randn(2, 5, 6)
    torch.testing.assert_close(torch.autograd.grad(found, x, push), torch.autograd.grad(written, x, push))


@pytest.mark.parametrize("rotary", [False, True])
def test_self_attention_steps_as_it_runs_and_as_it_is_written(rotary):
    torch.manual_seed(0)
    layer = SelfAttention(8, heads=2, dropout=0.0, rotary=rotary)
    x = torch.randn(3, 5, 8)
    past = torch.ones(5, 5, dtype=torch.bool).tril()[None]
    whole = layer(x, past)
    nodes = KeyValues(*[torch.zeros(3, 2, 0, 4)] * 2)
    for u in range(5):
        step, nodes = layer.step(x[:, u], nodes, torch.ones(3, 1, u + 1, dtype=torch.bool), u)
        torch.testing.assert_close(step, whole[:, u], atol=1e-5, rtol=1e-4)
    q, k, v = layer.qkv(x).view(3, 5, 3, 2, 4).permute(2, 0, 3, 1, 4)
    if rotary:
        q, k = rotate(q), rotate(k)
    scores = (q @ k.transpose(-1, -2) / 2).masked_fill(~past, float("-inf")).softmax(-1)
    torch.testing.assert_close(
        layer.out((scores @ v).transpose(1, 2).flatten(2)), whole, atol=1e-5, rtol=1e-4
    )


def test_self_attention_drops_weights_in_training():
    torch.manual_seed(0)
    layer = SelfAttention(8, heads=2, dropout=0.5, rotary=False)
    x, past = torch.randn(3, 5, 8), torch.ones(5, 5, dtype=torch.bool).tril()[None]
    torch.manual_seed(7)
    whole = layer(x, past)
    q, k, v = layer.qkv(x).view(3, 5, 3, 2, 4).permute(2, 0, 3, 1, 4)
    torch.manual_seed(7)
    weights = layer.dropout((q @ k.transpose(-1, -2) / 2).masked_fill(~past, float("-inf")).softmax(-1))
    assert (weights == 0).sum() > 3 * 2 * 10  # the future alone
    torch.testing.assert_close(layer.out((weights @ v).transpose(1, 2).flatten(2)), whole)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_an_utterance_without_a_frame_stays_a_number(dtype):
    layer = SelfAttention(8, heads=2, dropout=0.1, rotary=True)
    x, mask = torch.randn(2, 3, 8), torch.tensor([[[True, True, True]], [[False, False, False]]])
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
        assert layer(x, mask).isfinite().all()


def test_bfloat16_on_a_cpu_agrees_with_float32():
    torch.manual_seed(0)
    layer = SelfAttention(16, heads=2, dropout=0.0, rotary=True)
    x, mask = torch.randn(2, 9, 16), torch.arange(9)[None, None] < torch.tensor([9, 4])[:, None, None]
    exact = layer(x, mask)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = layer(x, mask)
    assert rough.dtype == torch.bfloat16
    torch.testing.assert_close(rough.float(), exact, atol=0.03, rtol=0.05)


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_dropout_keeps_the_mean_and_drops_its_share(p):
    torch.manual_seed(0)
    layer = Dropout(p)
    x = torch.ones(201, 999, requires_grad=True)
    y = layer(x)
    assert (y == 0).float().mean().item() == pytest.approx(p, abs=0.005)
    assert y.mean().item() == pytest.approx(1.0, abs=0.01)
    y.sum().backward()
    torch.testing.assert_close(x.grad, y.detach())
    assert torch.equal(layer.eval()(x), x)


def test_dropout_depends_on_the_seed_and_on_the_call():
    layer, x = Dropout(0.3), torch.ones(40, 50)
    torch.manual_seed(1)
    first, second = layer(x), layer(x)
    torch.manual_seed(1)
    assert torch.equal(layer(x), first)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("training", [True, False])
def test_dropout_onto_a_residual_is_their_sum(training):
    layer = Dropout(0.3).train(training)
    residual, x = torch.randn(2, 40, 50)
    torch.manual_seed(1)
    found = layer.add(residual, x, share=0.5)
    torch.manual_seed(1)
    torch.testing.assert_close(found, residual + 0.5 * layer(x))


def test_dropout_reaches_as_far_as_it_must():
    x = torch.ones(5000, 1000)
    assert (Dropout(0.5)(x) == 0).float().mean().item() == pytest.approx(0.5, abs=0.005)


def test_a_mask_stays_the_same_when_a_larger_one_was_needed_meanwhile():
    layer, x = Dropout(0.37), torch.ones(40, 50)
    torch.manual_seed(1)
    first = layer(x)
    layer(torch.ones(3000, 1000))
    torch.manual_seed(1)
    assert torch.equal(layer(x), first)


def test_dropout_refuses_a_share_of_one():
    with pytest.raises(ConfigError, match=r"\[0, 1\)"):
        Dropout(1.0)


def test_convolution_does_not_see_padding():
    torch.manual_seed(0)
    layer = Convolution(8, kernel=5)
    x = torch.randn(1, 6, 8)
    padded = torch.cat((x, torch.randn(1, 4, 8)), dim=1)
    real = torch.arange(10)[None] < 6
    torch.testing.assert_close(layer(padded, real)[:, :6], layer(x, real[:, :6]), atol=1e-6, rtol=1e-5)


def test_an_even_kernel_has_no_middle():
    with pytest.raises(ConfigError, match="odd"):
        Convolution(8, kernel=4)
