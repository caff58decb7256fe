"""Lengths and masks. A length is an int64 count; a mask is True on real positions."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def mask(lens: Tensor, size: int) -> Tensor:
    """(B,) counts -> (B, size) bool, True on the first `lens[b]` places."""
    return torch.arange(size, device=lens.device) < lens[:, None]


def conv_output_lens(lens: Tensor, kernel: int, stride: int, padding: int = 0) -> Tensor:
    """Output lengths of a convolution or of framing: how many whole windows fit, never below zero."""
    return ((lens + 2 * padding - kernel).div(stride, rounding_mode="floor") + 1).clamp(min=0)


def reverse(x: Tensor, lens: Tensor) -> Tensor:
    """Turn each sequence of x (T, B, ...), time first, around within its own length; the padding stays where it is."""
    T, B = x.shape[:2]
    at = torch.arange(T, device=x.device)[:, None]
    places = torch.where(at < lens, lens - 1 - at, at)
    rows = places * B + torch.arange(B, device=x.device)
    turned: Tensor = _Swap.apply(x, rows.flatten())  # type: ignore[no-untyped-call]
    return turned


class _Swap(torch.autograd.Function):
    """The rows of x (T, B, ...) in an order that is its own inverse, so that the gradient goes the same way.

    Whole rows are ten times as fast on a CPU as gather, and twenty times as fast as its scatter_add.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, rows: Tensor) -> Tensor:
        ctx.save_for_backward(rows)
        return x.flatten(0, 1).index_select(0, rows).view_as(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad.flatten(0, 1).index_select(0, *ctx.saved_tensors).view_as(grad), None
