"""Forward attention: a softmax over the frames a little ahead of the previous weights."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asrattn.attention.additive_score import additive_scores
from asrattn.attention.config import ForwardAttentionConfig
from asrattn.attention.memory import Memory, at_least_float32, weighted_sum


class ForwardState(NamedTuple):
    """weights (N, T): the previous ones; before the first token they are 1 on frame 0."""

    weights: Tensor


class ForwardAttention(nn.Module):
    """α_t ∝ y_t Σ_{d=0}^{reach} α_{t-d} of the last token (Zhang et al. 2018).

    y = softmax(e), e_t = vᵀ tanh(W s + V h_t + b). In the paper, where frames are written and phones read, reach is 1;
    in recognition a token lasts for several frames. It is computed as the softmax of e_t + log Σ α_{t-d}, so that
    nothing is divided by a small sum; frames that the previous weights cannot reach are masked like padding.
    """

    def __init__(self, config: ForwardAttentionConfig, query: int, values: int):
        super().__init__()
        self.dim = values
        self.max_advance = config.max_advance
        self.query = nn.Linear(query, config.dim, bias=False)
        self.key = nn.Linear(values, config.dim)
        self.score = nn.Linear(config.dim, 1, bias=False)

    def prepare(self, values: Tensor, mask: Tensor) -> Memory:
        return Memory(2 * self.key(values)[:, None], values[:, None], mask)

    def start(self, memory: Memory) -> ForwardState:
        weights = at_least_float32(memory.values.new_zeros(memory.mask.shape))
        weights[:, 0] = 1
        return ForwardState(weights)

    def forward(
        self, query: Tensor, memory: Memory, state: ForwardState
    ) -> tuple[Tensor, Tensor, ForwardState]:
        scores = at_least_float32(additive_scores(self.query(query), memory.keys, self.score.weight)[:, 0])
        # The mean for the sum: the softmax does not notice.
        reached = F.avg_pool1d(
            F.pad(state.weights, (self.max_advance, 0))[None], self.max_advance + 1, 1
        ).view_as(scores)
        tiny, lowest = torch.finfo(scores.dtype).tiny, torch.finfo(scores.dtype).min
        near = memory.mask[:, None] & (reached > tiny)
        weights = (scores + reached.clamp(min=tiny).log()).masked_fill(~near, lowest).softmax(-1) * near
        flat = weights.flatten(0, 1)
        return weighted_sum(weights[:, None], memory.values), flat[:, None], ForwardState(flat)
