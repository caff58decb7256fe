"""Multi-head scaled dot-product attention."""

import math

from torch import Tensor, nn

from asrattn.attention.config import MultiHeadAttentionConfig
from asrattn.attention.memory import Memory, Stateless, masked_softmax, weighted_sum
from asrattn.layers.dropout import Dropout
from asrattn.layers.linear import Linear


class MultiHeadAttention(nn.Module):
    """softmax(Q Kᵀ / √(dim/heads)) V in each head, then a linear map (Vaswani et al. 2017)."""

    def __init__(self, config: MultiHeadAttentionConfig, query: int, values: int):
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
        scores = queries @ memory.keys.transpose(-1, -2) / math.sqrt(d)
        if memory.log_weights is not None:
            scores = scores + memory.log_weights[:, None, None]
        weights = masked_softmax(scores, memory.mask)
        context = self.out(weighted_sum(self.dropout(weights), memory.values))
        return context, weights.transpose(1, 2).flatten(0, 1), ()
