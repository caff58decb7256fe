"""Coverage attention: scores also depend on the sum of the previous weights."""

from typing import NamedTuple

from torch import Tensor, nn

from asrattn.attention.additive_score import additive_scores
from asrattn.attention.config import CoverageAttentionConfig
from asrattn.attention.heads import Heads
from asrattn.attention.memory import Memory, at_least_float32


class CoverageState(NamedTuple):
    """read (N, H, T): the sum of all earlier weights."""

    coverage: Tensor


class CoverageAttention(nn.Module):
    """e_t = vᵀ tanh(W s + V h_t + w c_t + b), c = Σ of all earlier α (See et al. 2017).

    c is the linguistic coverage of Tu et al. (2016) where every frame has the fertility 1.
    """

    def __init__(self, config: CoverageAttentionConfig, query: int, values: int):
        super().__init__()
        self.dim = values
        self.heads = Heads(values, config.heads)
        self.query = nn.Linear(query, config.dim, bias=False)
        self.key = nn.Linear(values, config.dim)
        self.coverage = nn.Linear(1, config.dim, bias=False)
        self.score = nn.Linear(config.dim, 1, bias=False)

    def prepare(self, values: Tensor, mask: Tensor) -> Memory:
        return self.heads.prepare(2 * self.key(values), values, mask)

    def start(self, memory: Memory) -> CoverageState:
        nothing = at_least_float32(memory.values.new_zeros(memory.mask.shape))
        return CoverageState(nothing[:, None].expand(-1, self.heads.count, -1))

    def forward(
        self, query: Tensor, memory: Memory, state: CoverageState
    ) -> tuple[Tensor, Tensor, CoverageState]:
        read = state.coverage[..., None], self.coverage.weight
        scores = additive_scores(self.query(query), memory.keys, self.score.weight, *read)
        context, looks = self.heads.attend(scores, memory)
        return context, looks, CoverageState(state.coverage + looks)
