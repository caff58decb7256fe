"""Layers shared by encoders and decoders: one file for each kind.

The configuration is here and loads no torch.
"""

from asrattn.layers.config import (
    Activation,
    AttentionSpan,
    FramePositions,
    FullAttentionConfig,
    LocalAttentionConfig,
    Norm,
    PerFrameNorm,
    Positions,
    SparseAttentionConfig,
)

__all__ = [
    "Activation",
    "AttentionSpan",
    "FramePositions",
    "FullAttentionConfig",
    "LocalAttentionConfig",
    "Norm",
    "PerFrameNorm",
    "Positions",
    "SparseAttentionConfig",
]
