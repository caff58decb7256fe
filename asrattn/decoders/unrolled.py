"""An LSTM cell for the teacher-forced pass, in which the number of steps is known beforehand."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class UnrolledCell:
    """nn.LSTMCell for `steps` steps of `batch` rows: the same numbers, but the gradient of the weights is one
    product over all steps instead of a sum of small ones, and autocast casts the weights once.
    """

    def __init__(self, cell: nn.Module, batch: int, steps: int, dtype: torch.dtype):
        assert isinstance(cell, nn.LSTMCell)
        weight = torch.cat((cell.weight_ih, cell.weight_hh), dim=1)
        biases = (cell.bias_ih + cell.bias_hh).to(dtype).expand(steps, batch, -1)
        self.seen: list[Tensor] = []
        self.weight = weight.detach().to(dtype).t()
        deferred: Tensor = _Deferred.apply(biases, weight, self.seen)  # type: ignore[no-untyped-call]
        self.biases = iter(deferred.unbind())

    def __call__(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """x (N, I), hidden and cell (N, dim) -> the next hidden and cell; all in `dtype`, but for the cell."""
        hidden, cell = state
        x = torch.cat((x, hidden.to(x.dtype)), dim=-1)
        self.seen.append(x.detach())
        gates = torch.addmm(next(self.biases), x, self.weight).to(cell.dtype)
        take, keep, new, show = gates.chunk(4, dim=-1)
        cell = keep.sigmoid() * cell + take.sigmoid() * new.tanh()
        return (show.sigmoid() * cell.tanh()).to(x.dtype), cell


class _Deferred(torch.autograd.Function):
    """The biases of all steps as they are. The gradient of b_u in W x_u + b_u is that of the sum, so when the
    gradients of all biases are in, that of W is one product with the inputs x_u which the steps have noted down.
    """

    @staticmethod
    def forward(ctx: Any, biases: Tensor, weight: Tensor, seen: list[Tensor]) -> Tensor:
        ctx.seen, ctx.dtype = seen, weight.dtype
        return biases.view_as(biases)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grads: Tensor) -> tuple[Tensor, Tensor, None]:
        return grads, (grads.flatten(0, 1).t() @ torch.cat(ctx.seen)).to(ctx.dtype), None
