"""Attention: which part of an utterance a decoder looks at. One file for each family, one interface for all.

Adding one: write its config and module in a file of its own, then name it in `AttentionConfig` and `build`.
"""

from typing import Protocol

from torch import Tensor

from asrattn.attention.content import Additive, AdditiveConfig, Dot, DotConfig
from asrattn.attention.location import LocationAware, LocationConfig
from asrattn.attention.memory import Memory, softmax
from asrattn.attention.multihead import MultiHead, MultiHeadConfig

__all__ = [
    "AdditiveConfig",
    "Attention",
    "AttentionConfig",
    "DotConfig",
    "LocationConfig",
    "Memory",
    "MultiHead",
    "MultiHeadConfig",
    "build",
    "softmax",
]

AttentionConfig = DotConfig | AdditiveConfig | LocationConfig | MultiHeadConfig


class Attention(Protocol):
    """Keys and values are prepared once for an utterance; queries then come one or many at a time.

    `dim` is the size of the contexts. N = B·K: the K queries of one utterance stand beside each other.
    """

    dim: int

    def prepare(self, values: Tensor, mask: Tensor) -> Memory:
        """values (B, T, D), mask (B, T) True on real frames -> memory."""
        ...

    def __call__(self, query: Tensor, memory: Memory, previous: Tensor) -> tuple[Tensor, Tensor]:
        """query (N, Q), the last weights (N, T) -> context (N, dim), weights (N, T), which sum to one."""
        ...


def build(config: AttentionConfig, query: int, values: int) -> Attention:
    """The attention of a configuration, for queries (N, query) over values (B, T, values)."""
    match config:
        case DotConfig():
            return Dot(config, query, values)
        case AdditiveConfig():
            return Additive(config, query, values)
        case LocationConfig():
            return LocationAware(config, query, values)
        case MultiHeadConfig():
            return MultiHead(config, query, values)
