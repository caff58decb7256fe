"""The feed-forward net."""

from torch import Tensor, nn

from asrattn.layers.activation import project_silu
from asrattn.layers.dropout import Dropout
from asrattn.layers.linear import Linear


class FeedForward(nn.Sequential):
    """Two linear maps with SiLU between: (..., D) -> (..., D)."""

    def __init__(self, dim: int, hidden: int, dropout: float):
        super().__init__(Linear(dim, hidden), nn.SiLU(), Dropout(dropout), Linear(hidden, dim))

    def forward(self, x: Tensor) -> Tensor:
        expand, _, dropout, out = self
        assert isinstance(dropout, Dropout)
        return project_silu(expand(x), out, dropout)
