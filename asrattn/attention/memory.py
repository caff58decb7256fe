"""Memory of an utterance, masked softmax and weighted sum, shared by every attention."""

from typing import NamedTuple

import torch
from torch import Tensor

Stateless = tuple[()]
"""The state of an attention that does not depend on previous weights."""


class Memory(NamedTuple):
    """A prepared utterance: keys and values (B, H, T, ·), H heads; mask (B, T), True on what is real.

    log_weights (B, T): log of how often each frame counts in the softmax; None if each counts once.
    """

    keys: Tensor
    values: Tensor
    mask: Tensor
    log_weights: Tensor | None = None


def masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """scores (B, ..., T), mask (B, T) -> weights of the same shape, at least float32, zero on padding."""
    mask = mask.view(mask.shape[0], *(1,) * (scores.dim() - 2), mask.shape[-1])
    scores = at_least_float32(scores)
    return scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(-1) * mask


def at_least_float32(x: Tensor) -> Tensor:
    """In single precision at least: half of it is too coarse for sums over frames."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def weighted_sum(weights: Tensor, values: Tensor) -> Tensor:
    """weights (B, H, K, T), values (B, H, T, d) -> contexts (N, H·d)."""
    return (weights.to(values.dtype) @ values).transpose(1, 2).flatten(2).flatten(0, 1)
