"""SiLU, dropout and a product: the formula, its gradients, and what is kept for them."""

import pytest
import torch
import torch.nn.functional as F

from asrattn.layers import linear
from asrattn.layers.activation import project_activated
from asrattn.layers.dropout import Dropout
from asrattn.layers.linear import Linear


@pytest.mark.parametrize("worth", [1, 10**9], ids=["oneDNN", "torch"])
@pytest.mark.parametrize("p", [None, 0.0, 0.4])
@pytest.mark.parametrize("training", [True, False])
def test_gradients_are_those_of_the_plain_formula(p, training, worth, monkeypatch):
    monkeypatch.setattr(linear, "MIN_FLOPS_FOR_ONEDNN", worth)
    torch.manual_seed(0)
    out, x = Linear(8, 3), torch.randn(2, 5, 8, requires_grad=True)
    dropout = None if p is None else Dropout(p).train(training)
    inputs = [x, *out.parameters()]
    push = torch.randn(2, 5, 3)
    torch.manual_seed(7)
    found = project_activated(x, out, dropout)
    gradients = torch.autograd.grad(found, inputs, push)
    torch.manual_seed(7)  # the same mask
    hidden = dropout(F.silu(x)) if dropout else F.silu(x)
    want = F.linear(hidden, out.weight, out.bias)
    torch.testing.assert_close(found, want)
    for ours, theirs in zip(gradients, torch.autograd.grad(want, inputs, push), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_gradients_under_autocast():
    torch.manual_seed(0)
    out, x = Linear(8, 3), torch.randn(4, 8).bfloat16().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, want = project_activated(x, out), out(F.silu(x))
    assert found.dtype == torch.bfloat16
    for ours, theirs in zip(
        torch.autograd.grad(found.sum(), [x, out.weight]),
        torch.autograd.grad(want.sum(), [x, out.weight]),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("worth", [1, 10**9], ids=["oneDNN", "torch"])
def test_the_input_of_the_product_is_not_kept(worth, monkeypatch):
    monkeypatch.setattr(linear, "MIN_FLOPS_FOR_ONEDNN", worth)
    out, x = Linear(64, 3), torch.randn(100, 64, requires_grad=True)
    kept = []

    def keep(tensor):
        kept.append(tensor.data_ptr())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        y = project_activated(x, out)
    assert set(kept) == {x.data_ptr()}  # by SiLU; the product's own are left to the hooks within
    y.sum().backward()
    assert x.grad is not None


def test_without_gradients_it_is_the_formula():
    out, x = Linear(8, 3), torch.randn(4, 8)
    with torch.no_grad():
        torch.testing.assert_close(project_activated(x, out, Dropout(0.5).eval()), out(F.silu(x)))
