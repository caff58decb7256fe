import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from asrattn.training import muon
from asrattn.training.muon import Muon, orthogonalize


@pytest.fixture(params=[True, False], ids=["bf16", "fp32"])
def fast(request, monkeypatch):
    """Whether the processor knows bf16."""
    monkeypatch.setattr(muon, "has_native_bf16", lambda: request.param)
    return request.param


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 5), st.integers(0, 99))
def test_each_singular_value_goes_through_the_polynomial(rows, columns, steps, seed):
    """Jordan 2024: p(σ) = 3.4445 σ - 4.7750 σ³ + 2.0315 σ⁵, again and again, of σ / |G|; the vectors stay."""
    torch.manual_seed(seed)
    matrix = torch.randn(rows, columns)
    u, values, v = torch.linalg.svd(matrix, full_matrices=False)
    values = values / matrix.norm()
    for _ in range(steps):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(muon, "has_native_bf16", lambda: False)
        found = orthogonalize(matrix, steps)
    torch.testing.assert_close(found, u @ torch.diag(values) @ v, atol=2e-4, rtol=1e-3)


def test_bf16_where_it_is_fast(fast):
    torch.manual_seed(0)
    found = orthogonalize(torch.randn(8, 6), 3)
    assert found.dtype == (torch.bfloat16 if fast else torch.float32)


def test_no_gradient_is_no_step_and_a_zero_one_no_trouble(fast):
    weights = [nn.Parameter(torch.randn(4, 3)) for _ in range(2)]
    before = [weight.detach().clone() for weight in weights]
    weights[1].grad = torch.zeros(4, 3)
    Muon(weights, 0.1, momentum=0.95, steps=3).step()
    for weight, old in zip(weights, before, strict=True):
        assert torch.equal(weight, old)


def test_steps_are_the_written_ones(monkeypatch):
    monkeypatch.setattr(muon, "has_native_bf16", lambda: False)
    torch.manual_seed(0)
    weight = nn.Parameter(torch.randn(5, 3))
    written, kept = weight.detach().clone(), torch.zeros(5, 3)
    optimizer = Muon([weight], 0.1, momentum=0.8, steps=2, weight_decay=0.3)
    for _ in range(4):
        gradient = torch.randn(5, 3)
        kept = 0.8 * kept + 0.2 * gradient
        way = orthogonalize(0.8 * kept + 0.2 * gradient, 2)
        written = (1 - 0.1 * 0.3) * written - 0.2 * 0.1 * 5**0.5 * way
        weight.grad = gradient
        optimizer.step()
    torch.testing.assert_close(weight.detach(), written, atol=1e-4, rtol=1e-4)
