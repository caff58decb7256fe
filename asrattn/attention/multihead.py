"""Several scaled dot products side by side."""

import math
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from asrattn.attention.heads import check_heads
from asrattn.attention.memory import Memory, Stateless, softmax, weigh
from asrattn.config import check
from asrattn.layers import Dropout, Linear


@dataclass(frozen=True)
class MultiHeadConfig:
    """Multi-head attention: `heads` scaled dot products of `dim`/`heads` each."""

    kind: Literal["multihead"] = "multihead"
    dim: int = 256
    heads: int = 4
    dropout: float = 0.0

    def __post_init__(self) -> None:
        check_heads(self.dim, self.heads)
        check(0 <= self.dropout < 1, f"dropout is {self.dropout}; it must lie in [0, 1)")


class MultiHead(nn.Module):
    """softmax(Q Kᵀ / √(dim/heads)) V in each head, then a linear map (Vaswani et al. 2017)."""

    def __init__(self, config: MultiHeadConfig, query: int, values: int):
        super().__init__()
        self.dim = config.dim
        self.heads = config.heads
        self.query = Linear(query, config.dim)
        self.key_value = Linear(values, 2 * config.dim)
        self.out = Linear(config.dim, config.dim)
        self.dropout = Dropout(config.dropout)

    def prepare(self, values: Tensor, mask: Tensor) -> Memory:
        """Keys and values as (B, H, T, dim/H)."""
        B, T, _ = values.shape
        keys, values = self.key_value(values).view(B, T, 2, self.heads, -1).permute(2, 0, 3, 1, 4)
        return Memory(keys, values, mask)

    def start(self, memory: Memory) -> Stateless:
        return ()

    def forward(self, query: Tensor, memory: Memory, state: Stateless) -> tuple[Tensor, Tensor, Stateless]:
        B, H, _, d = memory.keys.shape
        queries = self.query(query).view(B, -1, H, d).transpose(1, 2)
        weights = softmax(queries @ memory.keys.transpose(-1, -2) / math.sqrt(d), memory.mask)
        context = self.out(weigh(self.dropout(weights), memory.values))
        return context, weights.transpose(1, 2).flatten(0, 1), ()
