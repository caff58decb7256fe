"""Configuration of the shared layers: positions, norms, attention span."""

from dataclasses import dataclass
from typing import Literal

from asrattn.config import check

Positions = Literal["none", "sinusoidal", "rotary"]  # those that a decoder can step through
FramePositions = Literal[Positions, "learned", "relative", "convolutional"]
PerFrameNorm = Literal["layer", "rms"]  # statistics of each frame alone
Norm = Literal["layer", "rms", "batch"]
Activation = Literal["silu", "gelu"]


@dataclass(frozen=True)
class FullAttentionConfig:
    """Every frame sees every other one (Vaswani et al. 2017)."""

    kind: Literal["full"] = "full"


@dataclass(frozen=True)
class LocalAttentionConfig:
    """Every frame sees `window` frames to each side (Beltagy et al. 2020, Longformer)."""

    kind: Literal["local"] = "local"
    window: int = 64

    def __post_init__(self) -> None:
        check(self.window > 0, f"window is {self.window}; it must be positive")


@dataclass(frozen=True)
class SparseAttentionConfig:
    """Every frame sees its block of `block` frames, the two beside it, and the global frames: `global_frames` of
    them over the utterance, evenly, which see and are seen by every frame (Zaheer et al. 2020, Big Bird, without
    random frames).

    Relative positions are those within the blocks; what a global frame sees, and who sees it from further away, has
    none.
    """

    kind: Literal["sparse"] = "sparse"
    block: int = 64
    global_frames: int = 8

    def __post_init__(self) -> None:
        check(min(self.block, self.global_frames) > 0, "block and spread must be positive")


AttentionSpan = FullAttentionConfig | LocalAttentionConfig | SparseAttentionConfig
