"""The interface of every attention, and `build`.

Adding one: write its config and name it in `AttentionConfig`, both in `config.py`; write its module in a file of its
own; add a case to `build`.
"""

from typing import Any, Protocol, TypeVar

from torch import Tensor

from asrattn.attention.config import (
    AdditiveConfig,
    AttentionConfig,
    ConcatConfig,
    CosineConfig,
    CoverageConfig,
    DotConfig,
    FixedConfig,
    ForwardConfig,
    GeneralConfig,
    GMMConfig,
    LocationConfig,
    MoChAConfig,
    MonotonicConfig,
    MultiHeadConfig,
)
from asrattn.attention.content import Additive, Concat, Cosine, Dot, General
from asrattn.attention.coverage import Coverage
from asrattn.attention.fixed import Fixed
from asrattn.attention.forward import Forward
from asrattn.attention.gmm import GMM
from asrattn.attention.location import LocationAware
from asrattn.attention.memory import Memory
from asrattn.attention.monotonic import Monotonic
from asrattn.attention.multihead import MultiHead

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
