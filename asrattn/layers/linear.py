"""Linear layers and matrix products through oneDNN."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MIN_FLOPS_FOR_ONEDNN = 2**20  # multiplications, below which calling oneDNN takes longer than what it saves


class Linear(nn.Linear):
    """nn.Linear whose float32 products are computed by oneDNN on a CPU.

    torch leaves those to MKL, which reaches half of the speed on processors that are not Intel's. Everything else,
    bfloat16 among it, is torch's own.
    """

    def forward(self, x: Tensor) -> Tensor:
        return project(x, self.weight, self.bias)


def project(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """x (..., I), weight (O, I), bias (O,) -> (..., O), as `Linear` says."""
    if not _onednn(x, weight):
        return F.linear(x, weight, bias)
    if not torch.is_grad_enabled():
        return _product(x, weight, bias)
    out: Tensor = _Product.apply(x, weight, bias)  # type: ignore[no-untyped-call]
    return out


def prepack_weights(model: nn.Module) -> None:
    """Lay the weights out for float32 products without gradient: in columns, as oneDNN reads them, which takes a fifth
    less time for the rows of a beam, and no longer for many. The numbers, shapes and names stay."""
    for layer in model.modules():
        if isinstance(layer, Linear):
            layer.weight.data = layer.weight.data.t().contiguous().t()


class _Product(torch.autograd.Function):
    """x (..., I), weight (O, I), bias (O,) -> (..., O)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _product(x, weight, bias)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        for_x, for_weight, for_bias = ctx.needs_input_grad
        rows = grad.reshape(-1, grad.shape[-1])
        return (
            _product(grad, weight.t(), None) if for_x else None,
            _product(rows.t(), x.reshape(-1, x.shape[-1]).t(), None) if for_weight else None,
            rows.sum(0) if for_bias else None,
        )


def _product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    out: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return out


def _onednn(x: Tensor, weight: Tensor) -> bool:
    return (
        x.numel() * len(weight) >= MIN_FLOPS_FOR_ONEDNN
        and x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    )
