"""Encoders: features -> frames that an attention can look at. One file for each kind, one interface for all.

Adding one: write its config and module in a file of its own, then name it in `EncoderConfig` and `build`.
"""

from functools import partial
from typing import Protocol

from torch import Tensor

from asrattn.encoders.branchformer import EBranchformerConfig, EBranchformerLayer
from asrattn.encoders.conformer import ConformerConfig, ConformerLayer
from asrattn.encoders.convolutional import CNNEncoder, CNNEncoderConfig
from asrattn.encoders.encoded import Encoded
from asrattn.encoders.recurrent import (
    GRUEncoderConfig,
    LSTMEncoderConfig,
    RecurrentEncoder,
    RNNEncoderConfig,
)
from asrattn.encoders.stack import Stack
from asrattn.encoders.transformer import TransformerEncoderConfig, TransformerLayer
from asrattn.layers import FullConfig, LocalConfig, SparseConfig

__all__ = [
    "CNNEncoderConfig",
    "ConformerConfig",
    "EBranchformerConfig",
    "Encoded",
    "Encoder",
    "EncoderConfig",
    "FullConfig",
    "GRUEncoderConfig",
    "LSTMEncoderConfig",
    "LocalConfig",
    "RNNEncoderConfig",
    "SparseConfig",
    "TransformerEncoderConfig",
    "build",
]

EncoderConfig = (
    RNNEncoderConfig
    | GRUEncoderConfig
    | LSTMEncoderConfig
    | CNNEncoderConfig
    | TransformerEncoderConfig
    | ConformerConfig
    | EBranchformerConfig
)


class Encoder(Protocol):
    """`dim` is D, the size of a frame it puts out."""

    dim: int

    def lens(self, feat_lens: Tensor) -> Tensor:
        """How many frames come out for so many feature frames: (B,) -> (B,)."""
        ...

    def __call__(self, feats: Tensor, lens: Tensor) -> Encoded:
        """feats (B, F, M), lens (B,) -> frames (B, T, D) with their lengths; frames of padding are zero."""
        ...


def build(config: EncoderConfig, features: int) -> Encoder:
    """The encoder of a configuration, for feats (B, F, features)."""
    match config:
        case RNNEncoderConfig() | GRUEncoderConfig() | LSTMEncoderConfig():
            return RecurrentEncoder(config, features)
        case CNNEncoderConfig():
            return CNNEncoder(config, features)
        case TransformerEncoderConfig():
            return Stack(config, features, partial(TransformerLayer, config))
        case ConformerConfig():
            return Stack(config, features, partial(ConformerLayer, config))
        case EBranchformerConfig():
            return Stack(config, features, partial(EBranchformerLayer, config))
