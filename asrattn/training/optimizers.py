"""Optimizers: from gradients to the next weights.

Adding one: write its config, then name it in `OptimizerConfig` and `build`.
"""

from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from asrattn.config import check
from asrattn.training.muon import Muon
from asrattn.training.vocabulary import token_weights


@dataclass(frozen=True)
class AdamWConfig:
    """Adam with decay beside the gradient (Loshchilov & Hutter 2019)."""

    kind: Literal["adamw"] = "adamw"
    learning_rate: float = 1.2e-3
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = 0.02

    def __post_init__(self) -> None:
        _check_ranges(self)
        _check_betas(self.betas)


@dataclass(frozen=True)
class AdamConfig:
    """Kingma & Ba 2015; the decay is a part of the gradient, and scaled with it."""

    kind: Literal["adam"] = "adam"
    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        _check_ranges(self)
        _check_betas(self.betas)


@dataclass(frozen=True)
class SGDConfig:
    """Gradient descent with a heavy ball, or with Nesterov's; the decay is a part of the gradient."""

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
    """Muon (Jordan 2024) for the matrices inside the network, AdamW for the rest: vectors, convolutions, and what
    has a row for each token. Muon's steps are scaled to the size of AdamW's (Liu et al. 2025), so that one learning
    rate and one decay serve both.

    momentum   of Muon, Nesterov's
    steps      towards orthogonal ones, each as dear as the last
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


def build(config: OptimizerConfig, model: nn.Module, fused: bool) -> Optimizer:
    """The optimizer of a configuration over all weights that are not frozen.

    Only matrices decay, not biases, gains and other vectors. Fused steps are three times as fast; with fp16 they
    would unscale the gradients only after these are clipped.
    """
    rate, decay = config.learning_rate, config.weight_decay
    groups = _groups(model, decay)
    match config:
        case AdamWConfig(betas=betas):
            return torch.optim.AdamW(groups, lr=rate, betas=betas, fused=fused)
        case AdamConfig(betas=betas):
            return torch.optim.Adam(groups, lr=rate, betas=betas, fused=fused)
        case SGDConfig(momentum=momentum, nesterov=nesterov):
            return torch.optim.SGD(groups, lr=rate, momentum=momentum, nesterov=nesterov, fused=fused)
        case MuonConfig(betas=betas, momentum=momentum, steps=steps):
            inner = _inner(model)
            matrices = [{"params": list(inner.values()), "weight_decay": decay}]
            rest = _groups(model, decay, inner)
            return Joined(
                Muon(matrices, rate, momentum, steps),
                torch.optim.AdamW(rest, lr=rate, betas=betas, fused=fused),
            )


class Joined(Optimizer):
    """Several optimizers, each with weights of its own, as one: one list of groups, one state, one step."""

    def __init__(self, *parts: Optimizer) -> None:
        self._parts = parts
        self._counts = [len(part.param_groups) for part in parts]
        super().__init__([group for part in parts for group in part.param_groups], {})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        start = 0
        for part, count in zip(self._parts, self._counts, strict=True):
            # Handed over at every step: loading a state replaces both.
            part.param_groups, part.state = self.param_groups[start : start + count], self.state
            part.step()
            start += count
        return loss


def _groups(model: nn.Module, decay: float, others: Container[str] = ()) -> list[dict[str, Any]]:
    """The trainable weights but for the others, those that decay apart from those that do not."""
    weights = [p for name, p in model.named_parameters() if p.requires_grad and name not in others]
    return [
        {"params": [p for p in weights if p.ndim >= 2], "weight_decay": decay},
        {"params": [p for p in weights if p.ndim < 2], "weight_decay": 0.0},
    ]


def _inner(model: nn.Module) -> dict[str, Tensor]:
    """The trainable matrices between the ends of the network."""
    outer = token_weights(model)
    matrices = {name: p for name, p in model.named_parameters() if p.requires_grad and p.ndim == 2}
    return {name: p for name, p in matrices.items() if name not in outer}


def _check_ranges(config: "OptimizerConfig") -> None:
    check(config.learning_rate > 0, "optimizer.learning_rate must be above 0")
    check(config.weight_decay >= 0, "optimizer.weight_decay must not be negative")


def _check_betas(betas: tuple[float, ...]) -> None:
    check(len(betas) == 2 and all(0 <= b < 1 for b in betas), "optimizer.betas are two numbers in [0, 1)")
