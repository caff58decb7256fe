"""Configuration of the neural language models; `LMConfig` is their union."""

from dataclasses import dataclass
from typing import Literal

from asrattn.config import check
from asrattn.layers import Positions


@dataclass(frozen=True)
class LSTMLMConfig:
    """`layers` of `dim` cells (Mikolov et al. 2010; Sundermeyer et al. 2012)."""

    kind: Literal["lstm"] = "lstm"
    dim: int = 512
    layers: int = 2
    dropout: float = 0.3

    def __post_init__(self) -> None:
        check(min(self.dim, self.layers) > 0, "dim and layers must be positive")


@dataclass(frozen=True)
class TransformerLMConfig:
    """`layers` of self-attention and a feed-forward net of `ffn_dim` (Irie et al. 2019)."""

    kind: Literal["transformer"] = "transformer"
    dim: int = 256
    layers: int = 6
    heads: int = 4
    ffn_dim: int = 1024
    positions: Positions = "rotary"
    dropout: float = 0.1

    def __post_init__(self) -> None:
        sizes = (self.dim, self.layers, self.heads, self.ffn_dim)
        check(min(sizes) > 0, "dim, layers, heads and hidden must be positive")
        check(self.dim % self.heads == 0, f"dim {self.dim} is no multiple of heads {self.heads}")


LMConfig = LSTMLMConfig | TransformerLMConfig
