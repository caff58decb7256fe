"""What every attention has in common: the prepared utterance, the masked softmax, the weighted sum."""

from typing import NamedTuple

import torch
from torch import Tensor


class Memory(NamedTuple):
    """A prepared utterance: keys and values (B, T, ·) or (B, H, T, ·); mask (B, T), True on what is real."""

    keys: Tensor
    values: Tensor
    mask: Tensor


def softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """scores (B, ..., T), mask (B, T) -> weights of the same shape, float32, zero on padding."""
    mask = mask.view(mask.shape[0], *(1,) * (scores.dim() - 2), mask.shape[-1])
    return scores.float().masked_fill(~mask, torch.finfo(torch.float32).min).softmax(-1) * mask


def weigh(weights: Tensor, values: Tensor) -> Tensor:
    """weights (B, K, T), values (B, T, D) -> contexts (N, D)."""
    return (weights.to(values.dtype) @ values).flatten(0, 1)
