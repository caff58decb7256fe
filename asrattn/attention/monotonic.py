"""Hard monotonic attention, and monotonic chunkwise attention (MoChA)."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asrattn.attention.additive_score import additive_scores
from asrattn.attention.config import MoChAConfig, MonotonicAttentionConfig
from asrattn.attention.linear_recurrence import linear_recurrence
from asrattn.attention.memory import Memory, at_least_float32, weighted_sum


class MonotonicState(NamedTuple):
    """at (N, T): the probability that the attention stopped at each frame; it starts at frame 0."""

    stop_probs: Tensor


class MonotonicAttention(nn.Module):
    """From where it stopped, the attention moves on and stops at each frame with p_t = σ(e_t) (Raffel et al. 2017):

        e_t = g vᵀ/‖v‖ tanh(W s + V h_t + b) + r
        α_t = p_t q_t,  q_t = (1 - p_{t-1}) q_{t-1} + α_t of the last token

    Training takes α, the expectation; outside of it p_t is 1 where e_t > 0, else 0, and the same recurrence gives the
    one frame where the attention stops. If there is none the weights are zero, and stay so for all later tokens.

    With chunks of w frames (MoChA, Chiu & Raffel 2018), a second score u_t = vᵀ tanh(W s + V h_t + b) of its own
    weights chooses among the w frames that end at the stop:

        β_t = Σ_{k=t}^{t+w-1} α_k exp(u_t) / Σ_{l=k-w+1}^{k} exp(u_l)

    The weights sum to the probability that the attention has stopped.
    """

    def __init__(self, config: MonotonicAttentionConfig | MoChAConfig, query: int, values: int):
        super().__init__()
        self.dim = values
        self.noise = config.noise
        self.chunk = config.chunk if isinstance(config, MoChAConfig) else 1
        self.scores = 2 if self.chunk > 1 else 1  # where to stop, where to read
        self.query = nn.Linear(query, self.scores * config.dim, bias=False)
        self.key = nn.Linear(values, self.scores * config.dim)
        self.score = nn.Linear(self.scores * config.dim, 1, bias=False)
        self.gain = nn.Parameter(torch.tensor(1.0))
        self.offset = nn.Parameter(torch.tensor(config.begin))

    def prepare(self, values: Tensor, mask: Tensor) -> Memory:
        keys = 2 * self.key(values)
        return Memory(keys.unflatten(-1, (self.scores, -1)).transpose(1, 2), values[:, None], mask)

    def start(self, memory: Memory) -> MonotonicState:
        at = at_least_float32(memory.values.new_zeros(memory.mask.shape))
        at[:, 0] = 1
        return MonotonicState(at)

    def forward(
        self, query: Tensor, memory: Memory, state: MonotonicState
    ) -> tuple[Tensor, Tensor, MonotonicState]:
        energies, *others = self._scores(query, memory).unbind(1)
        at = self._stop(energies, memory.mask, state.stop_probs.view_as(energies))
        weights = _chunks(at, others[0], memory.mask, self.chunk) if others else at
        context = weighted_sum(weights[:, None], memory.values)
        return context, weights.flatten(0, 1)[:, None], MonotonicState(at.flatten(0, 1))

    def _scores(self, query: Tensor, memory: Memory) -> Tensor:
        """e and, with chunks, u: (B, 1 or 2, K, T)."""
        stop, *read = self.score.weight.chunk(self.scores, dim=-1)
        stop = self.gain * F.normalize(stop, dim=-1)
        scores = at_least_float32(
            additive_scores(self.query(query), memory.keys, torch.cat((stop, *read), dim=-1))
        )
        constant = F.pad((self.offset - stop.sum()).view(1), (0, self.scores - 1))
        return scores + constant.view(-1, 1, 1)

    def _stop(self, energies: Tensor, mask: Tensor, before: Tensor) -> Tensor:
        """energies, α of the last token (B, K, T), mask (B, T) -> α."""
        if self.training:
            energies = energies + self.noise * torch.randn_like(energies)
            stop, stay = energies.sigmoid(), (-energies).sigmoid()
        else:
            stop, stay = (energies > 0).to(before.dtype), (energies <= 0).to(before.dtype)
        reached = linear_recurrence(F.pad(stay[..., :-1], (1, 0)), before)
        return stop * reached * mask[:, None]


def _chunks(at: Tensor, scores: Tensor, mask: Tensor, size: int) -> Tensor:
    """at, scores (B, K, T): each frame's weight is shared among the `size` frames that end there, by a softmax."""
    lowest = torch.finfo(scores.dtype).min
    scores = F.pad(scores.masked_fill(~mask[:, None], lowest), (size - 1, 0), value=lowest)
    shares = at[..., None] * scores.unfold(-1, size, 1).softmax(-1)
    behind = [F.pad(share, (0, back))[..., back:] for back, share in enumerate(reversed(shares.unbind(-1)))]
    return torch.stack(behind).sum(0)
