"""Configuration of every attention; `AttentionConfig` is their union."""

from dataclasses import dataclass
from typing import Literal

from asrattn.config import check


def check_heads(dim: int, heads: int) -> None:
    """Raises ConfigError unless so many heads can share `dim`."""
    check(heads > 0 and dim % heads == 0, f"dim {dim} is no multiple of heads {heads}")


@dataclass(frozen=True)
class DotAttentionConfig:
    """Dot-product attention over projected keys; `scaled` divides by √dim. Its form of many heads is `multihead`."""

    kind: Literal["dot"] = "dot"
    dim: int = 256
    scaled: bool = True

    def __post_init__(self) -> None:
        check(self.dim > 0, f"dim is {self.dim}; it must be positive")


@dataclass(frozen=True)
class GeneralAttentionConfig:
    """Bilinear attention; the decoder's size must be a multiple of `heads`."""

    kind: Literal["general"] = "general"
    heads: int = 1

    def __post_init__(self) -> None:
        check(self.heads > 0, f"heads is {self.heads}; it must be positive")


@dataclass(frozen=True)
class AdditiveAttentionConfig:
    """Additive attention through a hidden layer of `dim`, which `heads` share."""

    kind: Literal["additive"] = "additive"
    dim: int = 256
    heads: int = 1

    def __post_init__(self) -> None:
        check(self.dim > 0, f"dim is {self.dim}; it must be positive")
        check_heads(self.dim, self.heads)


@dataclass(frozen=True)
class ConcatAttentionConfig:
    """A linear map of query and frame together; it cannot depend on the query, and is there to show that."""

    kind: Literal["concat"] = "concat"
    heads: int = 1

    def __post_init__(self) -> None:
        check(self.heads > 0, f"heads is {self.heads}; it must be positive")


@dataclass(frozen=True)
class CosineAttentionConfig:
    """Cosine attention over keys of `dim`, which `heads` share."""

    kind: Literal["cosine"] = "cosine"
    dim: int = 256
    heads: int = 1

    def __post_init__(self) -> None:
        check(self.dim > 0, f"dim is {self.dim}; it must be positive")
        check_heads(self.dim, self.heads)


@dataclass(frozen=True)
class LocationAwareAttentionConfig:
    """Location-aware attention: `filters` convolutions, `kernel` frames wide, over the last weights of each head."""

    kind: Literal["location"] = "location"
    dim: int = 256
    filters: int = 10
    kernel: int = 31
    heads: int = 1

    def __post_init__(self) -> None:
        check(min(self.dim, self.filters) > 0, f"dim {self.dim} and filters {self.filters} must be positive")
        check(self.kernel % 2 == 1, f"kernel is {self.kernel}; it must be odd, so that it has a middle")
        check_heads(self.dim, self.heads)


@dataclass(frozen=True)
class CoverageAttentionConfig:
    """Coverage attention through a hidden layer of `dim`, which `heads` share."""

    kind: Literal["coverage"] = "coverage"
    dim: int = 256
    heads: int = 1

    def __post_init__(self) -> None:
        check(self.dim > 0, f"dim is {self.dim}; it must be positive")
        check_heads(self.dim, self.heads)


MIN_SIGMA_FRAMES = 0.1
"""The smallest σ in frames: one much narrower than a frame has no gradient."""


@dataclass(frozen=True)
class GMMAttentionConfig:
    """Gaussian mixture attention: a hidden layer of `dim` moves `components` Gaussians along.

    step    frames that a token moves them at the beginning of training
    width   their standard deviation then, in frames
    """

    kind: Literal["gmm"] = "gmm"
    dim: int = 256
    components: int = 5
    step: float = 4.0
    width: float = 5.0

    def __post_init__(self) -> None:
        check(min(self.dim, self.components) > 0, "dim and components must be positive")
        check(self.step > 0, f"step is {self.step}; it must be positive")
        check(self.width > MIN_SIGMA_FRAMES, f"width is {self.width}; it must be above {MIN_SIGMA_FRAMES}")


@dataclass(frozen=True)
class MonotonicAttentionConfig:
    """Hard monotonic attention through a hidden layer of `dim`.

    noise   standard deviation of what is added to the energies in training, so that decisions become clear ones
    begin   the energy of every frame before training: -1 stops at each fourth frame or so
    """

    kind: Literal["monotonic"] = "monotonic"
    dim: int = 256
    noise: float = 1.0
    begin: float = -1.0

    def __post_init__(self) -> None:
        check(self.dim > 0, f"dim is {self.dim}; it must be positive")
        check(self.noise >= 0, f"noise is {self.noise}; it must not be negative")


@dataclass(frozen=True)
class MoChAConfig:
    """Monotonic chunkwise attention: a softmax over the `chunk` frames that end where the attention stops.

    dim, noise, begin   as for monotonic attention
    """

    kind: Literal["mocha"] = "mocha"
    dim: int = 256
    chunk: int = 4
    noise: float = 1.0
    begin: float = -1.0

    def __post_init__(self) -> None:
        check(min(self.dim, self.chunk) > 0, f"dim {self.dim} and chunk {self.chunk} must be positive")
        check(self.noise >= 0, f"noise is {self.noise}; it must not be negative")


@dataclass(frozen=True)
class ForwardAttentionConfig:
    """Forward attention through a hidden layer of `dim`; a token moves it by `max_advance` frames at most."""

    kind: Literal["forward"] = "forward"
    dim: int = 256
    max_advance: int = 25

    def __post_init__(self) -> None:
        check(
            min(self.dim, self.max_advance) > 0,
            f"dim {self.dim} and reach {self.max_advance} must be positive",
        )


@dataclass(frozen=True)
class MultiHeadAttentionConfig:
    """Multi-head attention: `heads` scaled dot products of `dim`/`heads` each."""

    kind: Literal["multihead"] = "multihead"
    dim: int = 256
    heads: int = 4
    dropout: float = 0.0

    def __post_init__(self) -> None:
        check_heads(self.dim, self.heads)
        check(0 <= self.dropout < 1, f"dropout is {self.dropout}; it must lie in [0, 1)")


@dataclass(frozen=True)
class FixedContextConfig:
    """A fixed context: the mean of all frames, or the last one."""

    kind: Literal["mean", "last"] = "mean"


AttentionConfig = (
    DotAttentionConfig
    | GeneralAttentionConfig
    | AdditiveAttentionConfig
    | ConcatAttentionConfig
    | CosineAttentionConfig
    | LocationAwareAttentionConfig
    | CoverageAttentionConfig
    | GMMAttentionConfig
    | MonotonicAttentionConfig
    | MoChAConfig
    | ForwardAttentionConfig
    | MultiHeadAttentionConfig
    | FixedContextConfig
)
