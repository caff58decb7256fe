"""Layers shared by encoders and decoders: one file for each kind.

The configuration is here and loads no torch.
"""

from asrattn.layers.config import (
    FramePositions,
    FullConfig,
    LocalConfig,
    Norm,
    PerFrame,
    Positions,
    Reach,
    SparseConfig,
)

__all__ = [
    "FramePositions",
    "FullConfig",
    "LocalConfig",
    "Norm",
    "PerFrame",
    "Positions",
    "Reach",
    "SparseConfig",
]
