"""Recurrent layers under bfloat16 autocast, on processors that have a bfloat16 LSTM kernel and on those that do not."""

import pytest
import torch
from torch import nn

from asrattn.layers import recurrent
from asrattn.layers.recurrent import run_recurrent


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_without_the_kernel_a_layer_computes_in_float32(kind, dtype, monkeypatch):
    monkeypatch.setattr(recurrent, "has_bf16_lstm", lambda: False)
    torch.manual_seed(0)
    layer, x = kind(5, 6), torch.randn(4, 3, 5).to(dtype).requires_grad_()
    want, (_, state) = layer(x.float())[0], layer(x[:2].float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output, _ = run_recurrent(layer, x)
        rest, _ = run_recurrent(layer, x[2:], state)
    assert output.dtype == torch.float32
    torch.testing.assert_close(output, want)
    torch.testing.assert_close(rest, want[2:])
    output.sum().backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_bfloat16_is_float32_roughly(kind):
    torch.manual_seed(0)
    layer, x = kind(5, 6), torch.randn(4, 3, 5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output, _ = run_recurrent(layer, x)
    torch.testing.assert_close(output.float(), layer(x)[0], atol=0.02, rtol=0.02)


def test_an_error_of_the_probe_that_is_not_about_the_kernel_is_raised(monkeypatch):
    def fail(*_):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(nn.LSTM, "forward", fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        recurrent.has_bf16_lstm.__wrapped__()
