"""Location-aware attention: scores also depend on the previous weights."""

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from asrattn.attention.additive_score import additive_scores
from asrattn.attention.config import LocationAwareAttentionConfig
from asrattn.attention.heads import Heads
from asrattn.attention.memory import Memory, at_least_float32


class LocationState(NamedTuple):
    """weights (N, H, T): the previous ones of each head; before the first token they are uniform over the utterance."""

    weights: Tensor


class LocationAwareAttention(nn.Module):
    """e_t = vᵀ tanh(W s + V h_t + U f_t + b), f = F ∗ α_previous (Chorowski et al. 2015).

    Each head has its own previous weights and its share of the hidden layer; they have the filters F in common.
    """

    def __init__(self, config: LocationAwareAttentionConfig, query: int, values: int):
        super().__init__()
        self.dim = values
        self.heads = Heads(values, config.heads)
        self.query = nn.Linear(query, config.dim, bias=False)
        self.key = nn.Linear(values, config.dim)
        self.filters = nn.Linear(config.kernel, config.filters, bias=False)
        self.location = nn.Linear(config.filters, config.dim, bias=False)
        self.score = nn.Linear(config.dim, 1, bias=False)

    def prepare(self, values: Tensor, mask: Tensor) -> Memory:
        return self.heads.prepare(2 * self.key(values), values, mask)

    def start(self, memory: Memory) -> LocationState:
        real = at_least_float32(memory.mask.to(memory.values.dtype))
        even = real / real.sum(-1, keepdim=True)
        return LocationState(even[:, None].expand(-1, self.heads.count, -1))

    def forward(
        self, query: Tensor, memory: Memory, state: LocationState
    ) -> tuple[Tensor, Tensor, LocationState]:
        # A product over windows is faster on a CPU than a convolution with one input channel.
        half = self.filters.in_features // 2
        windows = F.pad(state.weights, (half, half)).unfold(-1, self.filters.in_features, 1)
        looked = self.filters(windows), self.location.weight
        scores = additive_scores(self.query(query), memory.keys, self.score.weight, *looked)
        context, looks = self.heads.attend(scores, memory)
        return context, looks, LocationState(looks)
