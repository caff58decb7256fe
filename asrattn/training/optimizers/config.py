"""Configuration of every optimizer; `OptimizerConfig` is their union."""

from dataclasses import dataclass
from typing import Literal

from asrattn.config import check


def _check_ranges(config: "OptimizerConfig") -> None:
    check(config.learning_rate > 0, "optimizer.learning_rate must be above 0")
    check(config.weight_decay >= 0, "optimizer.weight_decay must not be negative")


def _check_betas(betas: tuple[float, ...]) -> None:
    check(len(betas) == 2 and all(0 <= b < 1 for b in betas), "optimizer.betas are two numbers in [0, 1)")


@dataclass(frozen=True)
class AdamWConfig:
    """AdamW: Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""

    kind: Literal["adamw"] = "adamw"
    learning_rate: float = 1.2e-3
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = 0.02

    def __post_init__(self) -> None:
        _check_ranges(self)
        _check_betas(self.betas)


@dataclass(frozen=True)
class AdamConfig:
    """Adam (Kingma & Ba 2015) with L2 weight decay, which is part of the gradient."""

    kind: Literal["adam"] = "adam"
    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        _check_ranges(self)
        _check_betas(self.betas)


@dataclass(frozen=True)
class SGDConfig:
    """SGD with momentum, Nesterov's or plain; L2 weight decay, which is part of the gradient."""

    kind: Literal["sgd"] = "sgd"
    learning_rate: float = 0.1
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 1e-4

    def __post_init__(self) -> None:
        _check_ranges(self)
        check(0 <= self.momentum < 1, "optimizer.momentum must lie in [0, 1)")
        check(self.momentum > 0 or not self.nesterov, "optimizer.nesterov needs a momentum above 0")


@dataclass(frozen=True)
class MuonConfig:
    """Muon (Jordan 2024) for the matrices inside the network, AdamW for the rest: vectors, convolutions, embeddings
    and output layers. Muon's steps are scaled to the size of AdamW's (Liu et al. 2025), so that one learning rate and
    one decay serve both.

    momentum   of Muon (Nesterov)
    steps      Newton–Schulz iterations of the orthogonalisation
    betas      of AdamW
    """

    kind: Literal["muon"] = "muon"
    learning_rate: float = 2e-3
    betas: tuple[float, float] = (0.9, 0.98)
    momentum: float = 0.95
    steps: int = 3
    weight_decay: float = 0.02

    def __post_init__(self) -> None:
        _check_ranges(self)
        _check_betas(self.betas)
        check(0 <= self.momentum < 1, "optimizer.momentum must lie in [0, 1)")
        check(self.steps > 0, "optimizer.steps must be positive")


OptimizerConfig = AdamWConfig | AdamConfig | SGDConfig | MuonConfig
