"""Lengths and masks. A length is an int64 count; a mask is True on what is real."""

import torch
from torch import Tensor


def mask(lens: Tensor, size: int) -> Tensor:
    """(B,) counts -> (B, size) bool, True on the first `lens[b]` places."""
    return torch.arange(size, device=lens.device) < lens[:, None]


def strided(lens: Tensor, kernel: int, stride: int, padding: int = 0) -> Tensor:
    """Output lengths of a convolution or of framing: how many whole windows fit, never below zero."""
    return ((lens + 2 * padding - kernel).div(stride, rounding_mode="floor") + 1).clamp(min=0)


def reverse(x: Tensor, lens: Tensor) -> Tensor:
    """Turn each sequence of x (B, T, ...) around within its own length; the padding stays where it is."""
    T = x.shape[1]
    at = torch.arange(T, device=x.device)
    index = torch.where(at < lens[:, None], lens[:, None] - 1 - at, at)
    return x.gather(1, index.reshape(index.shape + (1,) * (x.dim() - 2)).expand_as(x))
