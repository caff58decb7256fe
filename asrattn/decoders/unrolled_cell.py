"""Recurrent cell unrolled over the teacher-forced pass, with one weight gradient for all steps."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from asrattn.layers.linear import project


class UnrolledCell:
    """nn.LSTMCell, nn.GRUCell or nn.RNNCell for `steps` steps of `batch` rows: the same numbers, but the gradient of
    the weights is one product over all steps instead of a sum of small ones, and autocast casts the weights once.
    """

    def __init__(self, cell: nn.Module, batch: int, steps: int, dtype: torch.dtype):
        assert isinstance(cell, nn.RNNCellBase)
        weight, bias = _joined(cell)
        self.advance = {nn.LSTMCell: _lstm, nn.GRUCell: _gru, nn.RNNCell: _rnn}[type(cell)]
        self.dtype = dtype
        self.seen: list[Tensor] = []
        self.weight = weight.detach().to(dtype).t()
        biases = bias.to(dtype).expand(steps, batch, -1)
        deferred: Tensor = _Deferred.apply(biases, weight, self.seen)  # type: ignore[no-untyped-call]
        self.biases = iter(deferred.unbind())

    def __call__(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """x (N, I), state: hidden and, of an LSTM, cell (N, dim) -> the next ones.

        Products are in `dtype`, what is carried on for long in that of the first state.
        """
        x = torch.cat((x.to(self.dtype), state[0].to(self.dtype)), dim=-1)
        self.seen.append(x.detach())
        return self.advance(torch.addmm(next(self.biases), x, self.weight), state)


def lstm_step(cell: nn.LSTMCell, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """One step alone, as the cell itself would do it; for rows as few as a beam has, our products are faster."""
    inward = project(x, cell.weight_ih, cell.bias_ih)
    return _lstm(inward + project(state[0], cell.weight_hh, cell.bias_hh), state)


def _joined(cell: nn.RNNCellBase) -> tuple[Tensor, Tensor]:
    """One weight (gates, I + dim) and bias (gates,) for input and hidden state together.

    The new value of a GRU needs the part of the hidden state apart from the rest: it has two rows of gates.
    """
    (inward, onward), biases = (cell.weight_ih, cell.weight_hh), (cell.bias_ih, cell.bias_hh)
    if not isinstance(cell, nn.GRUCell):
        return torch.cat((inward, onward), dim=1), biases[0] + biases[1]
    dim = cell.hidden_size
    gates = torch.cat((inward[: 2 * dim], onward[: 2 * dim]), dim=1)
    new = F.pad(inward[2 * dim :], (0, dim)), F.pad(onward[2 * dim :], (cell.input_size, 0))
    both = (biases[0] + biases[1])[: 2 * dim]
    return torch.cat((gates, *new)), torch.cat((both, *(bias[2 * dim :] for bias in biases)))


def _lstm(gates: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    _, cell = state
    take, keep, new, show = gates.to(cell.dtype).chunk(4, dim=-1)
    cell = keep.sigmoid() * cell + take.sigmoid() * new.tanh()
    return (show.sigmoid() * cell.tanh()).to(gates.dtype), cell


def _gru(gates: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    (hidden,) = state
    reset, keep, new, past = gates.to(hidden.dtype).chunk(4, dim=-1)
    new = (new + reset.sigmoid() * past).tanh()
    return (new + keep.sigmoid() * (hidden - new),)


def _rnn(gates: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (gates.tanh(),)


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
