"""Feed-forward network."""

from torch import Tensor, nn

from asrattn.layers.activation import project_activated
from asrattn.layers.config import Activation
from asrattn.layers.dropout import Dropout
from asrattn.layers.linear import Linear


class FeedForward(nn.Sequential):
    """Two linear maps with an activation between: (..., D) -> (..., D)."""

    def __init__(self, dim: int, ffn_dim: int, dropout: float, activation: Activation = "silu"):
        function = nn.SiLU() if activation == "silu" else nn.GELU()
        super().__init__(Linear(dim, ffn_dim), function, Dropout(dropout), Linear(ffn_dim, dim))
        self.activation: Activation = activation

    def forward(self, x: Tensor) -> Tensor:
        expand, _, dropout, out = self
        assert isinstance(dropout, Dropout)
        return project_activated(expand(x), out, dropout, self.activation)
