"""Attention of a decoder over the encoder output. One file for each family, one interface for all.

The configuration is here and loads no torch; `interface` has the protocol and `build`.
"""

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

__all__ = [
    "AdditiveAttentionConfig",
    "AttentionConfig",
    "ConcatAttentionConfig",
    "CosineAttentionConfig",
    "CoverageAttentionConfig",
    "DotAttentionConfig",
    "FixedContextConfig",
    "ForwardAttentionConfig",
    "GMMAttentionConfig",
    "GeneralAttentionConfig",
    "LocationAwareAttentionConfig",
    "MoChAConfig",
    "MonotonicAttentionConfig",
    "MultiHeadAttentionConfig",
]
