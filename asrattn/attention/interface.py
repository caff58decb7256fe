"""The interface of every attention, and `build`.

Adding one: write its config and name it in `AttentionConfig`, both in `config.py`; write its module in a file of its
own; add a case to `build`.
"""

from typing import Any, Protocol, TypeVar

from torch import Tensor

from asrattn.attention.config import (
    AdditiveAttentionConfig,
    AttentionConfig,
    ConcatAttentionConfig,
    CosineAttentionConfig,
    CoverageAttentionConfig,
    DotAttentionConfig,
    FixedContextConfig,
    ForwardAttentionConfig,
    GeneralAttentionConfig,
    GMMAttentionConfig,
    LocationAwareAttentionConfig,
    MoChAConfig,
    MonotonicAttentionConfig,
    MultiHeadAttentionConfig,
)
from asrattn.attention.content import (
    AdditiveAttention,
    ConcatAttention,
    CosineAttention,
    DotAttention,
    GeneralAttention,
)
from asrattn.attention.coverage import CoverageAttention
from asrattn.attention.fixed import FixedContext
from asrattn.attention.forward import ForwardAttention
from asrattn.attention.gmm import GMMAttention
from asrattn.attention.location import LocationAwareAttention
from asrattn.attention.memory import Memory
from asrattn.attention.monotonic import MonotonicAttention
from asrattn.attention.multihead import MultiHeadAttention

S = TypeVar("S")


class Attention(Protocol[S]):
    """Keys and values are prepared once for an utterance; queries then come one or many at a time.

    `dim` is the size of the contexts. N = B·K: the K queries of one utterance stand beside each other. What an
    attention remembers of the previous tokens is its state, a (nested) tuple of tensors, hypotheses first.
    """

    dim: int

    def prepare(self, values: Tensor, mask: Tensor) -> Memory:
        """values (B, T, D), mask (B, T) True on real frames -> memory."""
        ...

    def start(self, memory: Memory) -> S:
        """The state before the first token, one hypothesis for each utterance."""
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
        case DotAttentionConfig():
            return DotAttention(config, query, values)
        case GeneralAttentionConfig():
            return GeneralAttention(config, query, values)
        case AdditiveAttentionConfig():
            return AdditiveAttention(config, query, values)
        case ConcatAttentionConfig():
            return ConcatAttention(config, query, values)
        case CosineAttentionConfig():
            return CosineAttention(config, query, values)
        case LocationAwareAttentionConfig():
            return LocationAwareAttention(config, query, values)
        case CoverageAttentionConfig():
            return CoverageAttention(config, query, values)
        case GMMAttentionConfig():
            return GMMAttention(config, query, values)
        case MonotonicAttentionConfig() | MoChAConfig():
            return MonotonicAttention(config, query, values)
        case ForwardAttentionConfig():
            return ForwardAttention(config, query, values)
        case MultiHeadAttentionConfig():
            return MultiHeadAttention(config, query, values)
        case FixedContextConfig():
            return FixedContext(config, query, values)
