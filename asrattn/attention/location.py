"""Scores that also know where the last look was."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from asrattn.attention.memory import Memory, softmax, weigh
from asrattn.config import check


@dataclass(frozen=True)
class LocationConfig:
    """Location-aware attention: `filters` convolutions, `kernel` frames wide, over the last weights."""

    kind: Literal["location"] = "location"
    dim: int = 256
    filters: int = 10
    kernel: int = 31

    def __post_init__(self) -> None:
        check(min(self.dim, self.filters) > 0, f"dim {self.dim} and filters {self.filters} must be positive")
        check(self.kernel % 2 == 1, f"kernel is {self.kernel}; it must be odd, so that it has a middle")


class LocationAware(nn.Module):
    """e_t = vᵀ tanh(W s + V h_t + U f_t + b), f = F ∗ α_previous (Chorowski et al. 2015)."""

    def __init__(self, config: LocationConfig, query: int, values: int):
        super().__init__()
        self.dim = values
        self.query = nn.Linear(query, config.dim, bias=False)
        self.key = nn.Linear(values, config.dim)
        self.filters = nn.Linear(config.kernel, config.filters, bias=False)
        self.location = nn.Linear(config.filters, config.dim, bias=False)
        self.score = nn.Linear(config.dim, 1, bias=False)

    def prepare(self, values: Tensor, mask: Tensor) -> Memory:
        return Memory(2 * self.key(values), values, mask)

    def forward(self, query: Tensor, memory: Memory, previous: Tensor) -> tuple[Tensor, Tensor]:
        # A product over windows is faster on a CPU than a convolution with one input channel.
        half = self.filters.in_features // 2
        windows = F.pad(previous, (half, half)).unfold(-1, self.filters.in_features, 1)
        location = 2 * self.location.weight.t().contiguous()
        operands = 2 * self.query(query), self.filters(windows), location, 2 * self.score.weight[0]
        inputs = (memory.keys, *(x.to(memory.keys.dtype) for x in operands))
        scores: Tensor = _Scores.apply(*inputs)  # type: ignore[no-untyped-call]
        weights = softmax(scores, memory.mask)
        return weigh(weights, memory.values), weights.flatten(0, 1)


class _Scores(torch.autograd.Function):
    """vᵀ σ(k_t + q + U f_t): keys (B, T, A), query (N, A), filtered (N, T, C), location (C, A), v (A,) -> (B, K, T).

    With 2z in place of z and 2v of v this is vᵀ tanh(z), but for a constant that no softmax notices; see `tanh_scores`.
    By hand, because the hidden layer (N, T, A) is the largest thing that a step makes: it is written once, in place.
    """

    @staticmethod
    def forward(
        ctx: Any, keys: Tensor, query: Tensor, filtered: Tensor, location: Tensor, v: Tensor
    ) -> Tensor:
        B, _, A = keys.shape
        hidden = keys[:, None] + query.view(B, -1, 1, A)
        hidden.view(-1, A).addmm_(filtered.flatten(0, 1), location).sigmoid_()
        ctx.save_for_backward(hidden, filtered, location, v)
        return hidden @ v

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
        hidden, filtered, location, v = ctx.saved_tensors
        of_v = (grad.reshape(1, -1) @ hidden.view(-1, len(v)))[0]
        inner = torch.ops.aten.sigmoid_backward(grad[..., None] * v, hidden)
        flat = inner.view(-1, len(v))
        of_filtered = (flat @ location.t()).view_as(filtered)
        of_keys = inner[:, 0] if inner.shape[1] == 1 else inner.sum(1)
        return of_keys, inner.sum(2).flatten(0, 1), of_filtered, filtered.flatten(0, 1).t() @ flat, of_v
