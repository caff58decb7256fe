"""Attention: which part of an utterance a decoder looks at. One file for each family, one interface for all.

Adding one: write its config and module in a file of its own, then name it in `AttentionConfig` and `build`.
"""

from typing import Any, Protocol, TypeVar

from torch import Tensor

from asrattn.attention.content import (
    Additive,
    AdditiveConfig,
    Concat,
    ConcatConfig,
    Cosine,
    CosineConfig,
    Dot,
    DotConfig,
    General,
    GeneralConfig,
)
from asrattn.attention.coverage import Coverage, CoverageConfig
from asrattn.attention.fixed import Fixed, FixedConfig
from asrattn.attention.forward import Forward, ForwardConfig
from asrattn.attention.gmm import GMM, GMMConfig
from asrattn.attention.location import LocationAware, LocationConfig
from asrattn.attention.memory import Memory
from asrattn.attention.monotonic import MoChAConfig, Monotonic, MonotonicConfig
from asrattn.attention.multihead import MultiHead, MultiHeadConfig

__all__ = [
    "AdditiveConfig",
    "Attention",
    "AttentionConfig",
    "ConcatConfig",
    "CosineConfig",
    "CoverageConfig",
    "DotConfig",
    "FixedConfig",
    "ForwardConfig",
    "GMMConfig",
    "GeneralConfig",
    "LocationConfig",
    "Memory",
    "MoChAConfig",
    "MonotonicConfig",
    "MultiHead",
    "MultiHeadConfig",
    "build",
]

AttentionConfig = (
    DotConfig
    | GeneralConfig
    | AdditiveConfig
    | ConcatConfig
    | CosineConfig
    | LocationConfig
    | CoverageConfig
    | GMMConfig
    | MonotonicConfig
    | MoChAConfig
    | ForwardConfig
    | MultiHeadConfig
    | FixedConfig
)
S = TypeVar("S")


class Attention(Protocol[S]):
    """Keys and values are prepared once for an utterance; queries then come one or many at a time.

    `dim` is the size of the contexts. N = B·K: the K queries of one utterance stand beside each other. What an
    attention remembers of its earlier looks is its state, a (nested) tuple of tensors, hypotheses first.
    """

    dim: int

    def prepare(self, values: Tensor, mask: Tensor) -> Memory:
        """values (B, T, D), mask (B, T) True on real frames -> memory."""
        ...

    def start(self, memory: Memory) -> S:
        """The state before the first look, one hypothesis for each utterance."""
        ...

    def __call__(self, query: Tensor, memory: Memory, state: S) -> tuple[Tensor, Tensor, S]:
        """query (N, Q), memory, state -> context (N, dim), the weights of each head (N, H, T), state.

        The weights are not negative and zero on padding. They sum to one; those of monotonic and of Gaussian attention
        to one at most, for they may leave the utterance.
        """
        ...


def build(config: AttentionConfig, query: int, values: int) -> Attention[Any]:  # noqa: C901  (a table)
    """The attention of a configuration, for queries (N, query) over values (B, T, values)."""
    match config:
        case DotConfig():
            return Dot(config, query, values)
        case GeneralConfig():
            return General(config, query, values)
        case AdditiveConfig():
            return Additive(config, query, values)
        case ConcatConfig():
            return Concat(config, query, values)
        case CosineConfig():
            return Cosine(config, query, values)
        case LocationConfig():
            return LocationAware(config, query, values)
        case CoverageConfig():
            return Coverage(config, query, values)
        case GMMConfig():
            return GMM(config, query, values)
        case MonotonicConfig() | MoChAConfig():
            return Monotonic(config, query, values)
        case ForwardConfig():
            return Forward(config, query, values)
        case MultiHeadConfig():
            return MultiHead(config, query, values)
        case FixedConfig():
            return Fixed(config, query, values)
