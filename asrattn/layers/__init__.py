"""Layers shared by encoders and decoders: one file for each kind.

The configuration is here and loads no torch.
"""

from asrattn.layers.config import (
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
    "AttentionSpan",
    "FramePositions",
    "FullAttentionConfig",
    "LocalAttentionConfig",
    "Norm",
    "PerFrameNorm",
    "Positions",
    "SparseAttentionConfig",
]
