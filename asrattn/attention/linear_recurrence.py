"""q_t = a_t q_{t-1} + b_t over all frames at once."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable


def linear_recurrence(keep: Tensor, new: Tensor) -> Tensor:
    """q_t = keep_t · q_{t-1} + new_t with q_{-1} = 0, over the last dimension of keep and new (..., T).

    In log₂ T steps, each of which joins every frame with what lies twice as far behind it. There are but sums and
    products: the closed form divides by the product of all `keep`, which is zero after some hundred frames.
    """
    q: Tensor = _LinearRecurrence.apply(keep, new)  # type: ignore[no-untyped-call]
    return q


def _scan(keep: Tensor, new: Tensor) -> Tensor:
    reach = 1
    while reach < new.shape[-1]:
        new = torch.addcmul(new, keep, F.pad(new[..., :-reach], (reach, 0)))
        keep = keep * F.pad(keep[..., :-reach], (reach, 0))
        reach *= 2
    return new


class _LinearRecurrence(torch.autograd.Function):
    """Its gradient is the same recurrence from the end: g_t = ∂q_t + keep_{t+1} g_{t+1}."""

    @staticmethod
    def forward(ctx: Any, keep: Tensor, new: Tensor) -> Tensor:
        q = _scan(keep, new)
        ctx.save_for_backward(keep, q)
        return q

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        keep, q = ctx.saved_tensors
        ahead = F.pad(keep[..., 1:], (0, 1))
        of_new = _scan(ahead.flip(-1), grad.flip(-1)).flip(-1)
        return of_new * F.pad(q[..., :-1], (1, 0)), of_new
