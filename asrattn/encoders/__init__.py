"""Encoders: features -> frames that an attention can look at. One file for each kind, one interface for all.

The configuration is here and loads no torch; `interface` has the protocol and `build`.
"""

from asrattn.encoders.config import (
    CNNEncoderConfig,
    ConformerConfig,
    EBranchformerConfig,
    EncoderConfig,
    GRUEncoderConfig,
    LSTMEncoderConfig,
    RNNEncoderConfig,
    TransformerEncoderConfig,
)
from asrattn.layers import FullConfig, LocalConfig, SparseConfig

__all__ = [
    "CNNEncoderConfig",
    "ConformerConfig",
    "EBranchformerConfig",
    "EncoderConfig",
    "FullConfig",
    "GRUEncoderConfig",
    "LSTMEncoderConfig",
    "LocalConfig",
    "RNNEncoderConfig",
    "SparseConfig",
    "TransformerEncoderConfig",
]
