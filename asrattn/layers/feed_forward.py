"""Feed-forward network."""

from torch import Tensor, nn

from asrattn.layers.activation import project_silu
from asrattn.layers.dropout import Dropout
from asrattn.layers.linear import Linear


class FeedForward(nn.Sequential):
    """Two linear maps with SiLU between: (..., D) -> (..., D)."""

    def __init__(self, dim: int, ffn_dim: int, dropout: float):
        super().__init__(Linear(dim, ffn_dim), nn.SiLU(), Dropout(dropout), Linear(ffn_dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        expand, _, dropout, out = self
        assert isinstance(dropout, Dropout)
        return project_silu(expand(x), out, dropout)
