"""Scores from the content alone: dot and additive."""

import math
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from asrattn.attention.memory import Memory, softmax, tanh_scores, weigh
from asrattn.config import check


@dataclass(frozen=True)
class DotConfig:
    """Dot-product attention over projected keys; `scaled` divides by √dim."""

    kind: Literal["dot"] = "dot"
    dim: int = 256
    scaled: bool = True

    def __post_init__(self) -> None:
        check(self.dim > 0, f"dim is {self.dim}; it must be positive")


class Dot(nn.Module):
    """e_t = (W s)ᵀ (V h_t), divided by √dim when scaled (Luong et al. 2015; Vaswani et al. 2017)."""

    def __init__(self, config: DotConfig, query: int, values: int):
        super().__init__()
        self.dim = values
        self.query = nn.Linear(query, config.dim, bias=False)
        self.key = nn.Linear(values, config.dim, bias=False)
        self.scale = 1 / math.sqrt(config.dim) if config.scaled else 1.0

    def prepare(self, values: Tensor, mask: Tensor) -> Memory:
        return Memory(self.key(values), values, mask)

    def forward(self, query: Tensor, memory: Memory, previous: Tensor) -> tuple[Tensor, Tensor]:
        queries = self.query(query).view(memory.keys.shape[0], -1, memory.keys.shape[-1])
        weights = softmax(queries @ memory.keys.transpose(1, 2) * self.scale, memory.mask)
        return weigh(weights, memory.values), weights.flatten(0, 1)


@dataclass(frozen=True)
class AdditiveConfig:
    """Additive attention through a hidden layer of `dim`."""

    kind: Literal["additive"] = "additive"
    dim: int = 256

    def __post_init__(self) -> None:
        check(self.dim > 0, f"dim is {self.dim}; it must be positive")


class Additive(nn.Module):
    """e_t = vᵀ tanh(W s + V h_t + b) (Bahdanau et al. 2015)."""

    def __init__(self, config: AdditiveConfig, query: int, values: int):
        super().__init__()
        self.dim = values
        self.query = nn.Linear(query, config.dim, bias=False)
        self.key = nn.Linear(values, config.dim)
        self.score = nn.Linear(config.dim, 1, bias=False)

    def prepare(self, values: Tensor, mask: Tensor) -> Memory:
        return Memory(2 * self.key(values), values, mask)

    def forward(self, query: Tensor, memory: Memory, previous: Tensor) -> tuple[Tensor, Tensor]:
        queries = self.query(query).view(memory.keys.shape[0], -1, 1, memory.keys.shape[-1])
        doubled = 2 * queries + memory.keys[:, None]
        weights = softmax(tanh_scores(doubled, self.score.weight), memory.mask)
        return weigh(weights, memory.values), weights.flatten(0, 1)
