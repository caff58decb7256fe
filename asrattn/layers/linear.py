"""Linear layers and matrix products through oneDNN."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asrattn.layers.gemm_backend import GemmBackends, gemm_backends, product

MIN_FLOPS_FOR_ONEDNN = 2**20  # multiplications, below which calling oneDNN takes longer than what it saves


class Linear(nn.Linear):
    """nn.Linear whose float32 products on a CPU are computed by the faster library (`gemm_backend`).

    torch itself leaves them to MKL. Everything else, bfloat16 among it, is torch's own.
    """

    def forward(self, x: Tensor) -> Tensor:
        return project(x, self.weight, self.bias)


def project(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """x (..., I), weight (O, I), bias (O,) -> (..., O), as `Linear` says."""
    if not _worthwhile(x, weight):
        return F.linear(x, weight, bias)
    backends = gemm_backends()
    if not torch.is_grad_enabled():
        return product(backends.forward, x, weight, bias)
    out: Tensor = _Product.apply(x, weight, bias, backends)  # type: ignore[no-untyped-call]
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
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, backends: GemmBackends) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.backends = backends
        return product(backends.forward, x, weight, bias)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        for_x, for_weight, for_bias, _ = ctx.needs_input_grad
        forward, weight_grad = ctx.backends
        rows = grad.reshape(-1, grad.shape[-1])
        return (
            product(forward, grad, weight.t()) if for_x else None,
            product(weight_grad, rows.t(), x.reshape(-1, x.shape[-1]).t()) if for_weight else None,
            rows.sum(0) if for_bias else None,
            None,
        )


def _worthwhile(x: Tensor, weight: Tensor) -> bool:
    return (
        x.numel() * len(weight) >= MIN_FLOPS_FOR_ONEDNN
        and x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    )
