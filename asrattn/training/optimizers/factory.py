"""Optimizer factory: parameter groups with and without weight decay; several optimizers as one."""

from collections.abc import Callable, Container
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from asrattn.training.muon import Muon
from asrattn.training.optimizers.config import AdamConfig, AdamWConfig, MuonConfig, OptimizerConfig, SGDConfig
from asrattn.training.vocabulary import token_weights


def build(config: OptimizerConfig, model: nn.Module, fused: bool) -> Optimizer:
    """Build the optimizer of a configuration over all weights that are not frozen.

    Weight decay applies to matrices, not to biases, gains and other vectors. Fused steps are three times as fast; with
    fp16 they would unscale the gradients only after clipping.
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
            inner = _muon_matrices(model)
            matrices = [{"params": list(inner.values()), "weight_decay": decay}]
            rest = _groups(model, decay, inner)
            return CombinedOptimizer(
                Muon(matrices, rate, momentum, steps),
                torch.optim.AdamW(rest, lr=rate, betas=betas, fused=fused),
            )


class CombinedOptimizer(Optimizer):
    """Several optimizers over disjoint weights as one: one list of groups, one state, one step."""

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
            # Assigned at every step: loading a state replaces both.
            part.param_groups, part.state = self.param_groups[start : start + count], self.state
            part.step()
            start += count
        return loss


def _groups(model: nn.Module, decay: float, others: Container[str] = ()) -> list[dict[str, Any]]:
    """The trainable weights except `others`, in two groups: with and without weight decay."""
    weights = [p for name, p in model.named_parameters() if p.requires_grad and name not in others]
    return [
        {"params": [p for p in weights if p.ndim >= 2], "weight_decay": decay},
        {"params": [p for p in weights if p.ndim < 2], "weight_decay": 0.0},
    ]


def _muon_matrices(model: nn.Module) -> dict[str, Tensor]:
    """The trainable matrices, except embeddings and output layers."""
    outer = token_weights(model)
    matrices = {name: p for name, p in model.named_parameters() if p.requires_grad and p.ndim == 2}
    return {name: p for name, p in matrices.items() if name not in outer}
