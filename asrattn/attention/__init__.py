"""Attention: which part of an utterance a decoder looks at. One file for each family, one interface for all.

The configuration is here and loads no torch; `interface` has the protocol and `build`.
"""

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

__all__ = [
    "AdditiveConfig",
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
    "MoChAConfig",
    "MonotonicConfig",
    "MultiHeadConfig",
]
