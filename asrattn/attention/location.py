"""Scores that also know where the last look was."""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

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
        return Memory(self.key(values), values, mask)

    def forward(self, query: Tensor, memory: Memory, previous: Tensor) -> tuple[Tensor, Tensor]:
        B, T, A = memory.keys.shape
        # A product over windows is faster on a CPU than a convolution with one input channel.
        half = self.filters.in_features // 2
        windows = F.pad(previous, (half, half)).unfold(-1, self.filters.in_features, 1)
        located = self.location(self.filters(windows))
        queries = self.query(query).view(B, -1, 1, A)
        scores = self.score(torch.tanh(queries + memory.keys[:, None] + located.view(B, -1, T, A))).squeeze(
            -1
        )
        weights = softmax(scores, memory.mask)
        return weigh(weights, memory.values), weights.flatten(0, 1)
