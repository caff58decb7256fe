"""Encoders: features -> frames that an attention can look at. One file for each kind, one interface for all.

Adding one: write its config and module in a file of its own, then name it in `EncoderConfig` and `build`.
"""

from typing import Protocol

from torch import Tensor

from asrattn.encoders.encoded import Encoded
from asrattn.encoders.lstm import LSTMEncoder, LSTMEncoderConfig
from asrattn.encoders.transformer import (
    ConformerConfig,
    TransformerEncoder,
    TransformerEncoderConfig,
)

__all__ = [
    "ConformerConfig",
    "Encoded",
    "Encoder",
    "EncoderConfig",
    "LSTMEncoderConfig",
    "TransformerEncoderConfig",
    "build",
]

EncoderConfig = LSTMEncoderConfig | TransformerEncoderConfig | ConformerConfig


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
        case LSTMEncoderConfig():
            return LSTMEncoder(config, features)
        case TransformerEncoderConfig() | ConformerConfig():
            return TransformerEncoder(config, features)
