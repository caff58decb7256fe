"""GMM attention: a mixture of Gaussians that moves forward, independent of the content."""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asrattn.attention.config import MIN_SIGMA_FRAMES, GMMAttentionConfig
from asrattn.attention.memory import Memory, at_least_float32, weighted_sum


class GMMState(NamedTuple):
    """means (N, C): where the components are, in frames."""

    means: Tensor


class GMMAttention(nn.Module):
    """α_t = Σ_c w_c ∫_t^{t+1} N(x; μ_c, σ_c²) dx (Graves 2013).

    (ŵ, Δ̂, σ̂) = V tanh(W s + b) + a, w = softmax(ŵ), μ = μ_previous + softplus(Δ̂), σ = softplus(σ̂), which is version 2
    of Battenberg et al. (2020), whose exponentials cannot run away; `a` begins such that Δ and σ are those of the
    configuration. Frame t lasts from t to t + 1, and its weight is all the mass within, not the density at its middle:
    so the weights sum to one at most, however narrow σ. What lies beyond the end of the utterance is lost.
    """

    def __init__(self, config: GMMAttentionConfig, query: int, values: int):
        super().__init__()
        self.dim = values
        self.query = nn.Linear(query, config.dim)
        self.mixture = nn.Linear(config.dim, 3 * config.components)
        begin = torch.tensor(
            [0.0, math.log(math.expm1(config.step)), math.log(math.expm1(config.width - MIN_SIGMA_FRAMES))]
        )
        with torch.no_grad():
            self.mixture.bias.copy_(begin.repeat_interleave(config.components))

    def prepare(self, values: Tensor, mask: Tensor) -> Memory:
        return Memory(values[:, None], values[:, None], mask)

    def start(self, memory: Memory) -> GMMState:
        components = self.mixture.out_features // 3
        return GMMState(at_least_float32(memory.values.new_zeros(len(memory.mask), components)))

    def forward(self, query: Tensor, memory: Memory, state: GMMState) -> tuple[Tensor, Tensor, GMMState]:
        mixture = at_least_float32(self.mixture(torch.tanh(self.query(query))))
        shares, steps, widths = mixture.chunk(3, dim=-1)
        means = state.means + F.softplus(steps)
        edges = torch.arange(memory.mask.shape[1] + 1, device=means.device)
        distances = (edges - means[..., None]) / (F.softplus(widths) + MIN_SIGMA_FRAMES)[..., None]
        within = torch.special.ndtr(distances).diff().clamp(min=0)  # rounding may leave a little below zero
        B, T = memory.mask.shape
        weights = (shares.softmax(-1)[..., None] * within).sum(1).view(B, -1, T) * memory.mask[:, None]
        return weighted_sum(weights[:, None], memory.values), weights.flatten(0, 1)[:, None], GMMState(means)
