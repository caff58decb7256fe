"""Encoders: features (B, F, M) -> encoder output (B, T, D). One file for each kind, one interface for all.

The configuration is here and loads no torch; `interface` has the protocol and `build`.
"""

from asrattn.encoders.config import (
    CNNEncoderConfig,
    ConformerConfig,
    EBranchformerConfig,
    EncoderConfig,
    GRUEncoderConfig,
    LSTMEncoderConfig,
    PretrainedEncoderConfig,
    RNNEncoderConfig,
    TransformerEncoderConfig,
    WhisperEncoderConfig,
)
from asrattn.layers import FullAttentionConfig, LocalAttentionConfig, SparseAttentionConfig

__all__ = [
    "CNNEncoderConfig",
    "ConformerConfig",
    "EBranchformerConfig",
    "EncoderConfig",
    "FullAttentionConfig",
    "GRUEncoderConfig",
    "LSTMEncoderConfig",
    "LocalAttentionConfig",
    "PretrainedEncoderConfig",
    "RNNEncoderConfig",
    "SparseAttentionConfig",
    "TransformerEncoderConfig",
    "WhisperEncoderConfig",
]
