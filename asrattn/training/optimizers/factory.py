"""Optimizer factory: parameter groups with and without weight decay; several optimizers as one."""

from collections import defaultdict
from collections.abc import Callable, Container, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from asrattn.training.distributed import is_sharded
from asrattn.training.layer_decay import layer_depths
from asrattn.training.muon import Muon
from asrattn.training.optimizers.config import AdamConfig, AdamWConfig, MuonConfig, OptimizerConfig, SGDConfig
from asrattn.training.vocabulary import token_weights


def build(
    config: OptimizerConfig,
    model: nn.Module,
    fused: bool,
    layer_decay: float = 1.0,
    frozen_at_first: Container[str] = (),
) -> Optimizer:
    """Build the optimizer of a configuration over all weights that are not frozen.

    Weight decay applies to matrices, not to biases, gains and other vectors. Fused steps are three times as fast; with
    fp16 they would unscale the gradients only after clipping. With layer-wise decay each depth has groups of its own,
    whose `lr_scale` is the factor of the learning rate. So have weights that are frozen for the first updates: fused
    SGD starts the momentum of a whole group at once.
    """
    rate, decay = config.learning_rate, config.weight_decay
    trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
    depths = layer_depths(model).items()
    kinds = {name: (layer_decay**depth, name not in frozen_at_first) for name, depth in depths}

    def groups(weights: Mapping[str, Tensor], weight_decay: float) -> list[dict[str, Any]]:
        return _groups(weights, kinds, rate, weight_decay)

    def with_decay(weights: Mapping[str, Tensor]) -> list[dict[str, Any]]:
        matrices = {name: p for name, p in weights.items() if p.ndim >= 2}
        vectors = {name: p for name, p in weights.items() if p.ndim < 2}
        return groups(matrices, decay) + groups(vectors, 0.0)

    match config:
        case AdamWConfig(betas=betas):
            return torch.optim.AdamW(with_decay(trainable), lr=rate, betas=betas, fused=fused)
        case AdamConfig(betas=betas):
            return torch.optim.Adam(with_decay(trainable), lr=rate, betas=betas, fused=fused)
        case SGDConfig(momentum=momentum, nesterov=nesterov):
            found = with_decay(trainable)
            whole = not is_sharded(model)  # torch has no fused SGD of sharded weights
            return torch.optim.SGD(
                found, lr=rate, momentum=momentum, nesterov=nesterov, fused=fused and whole
            )
        case MuonConfig(betas=betas, momentum=momentum, steps=steps):
            inner = _muon_matrices(model, trainable)
            rest = {name: p for name, p in trainable.items() if name not in inner}
            return CombinedOptimizer(
                Muon(groups(inner, decay), rate, momentum, steps),
                torch.optim.AdamW(with_decay(rest), lr=rate, betas=betas, fused=fused),
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


def _groups(
    weights: Mapping[str, Tensor], kinds: Mapping[str, tuple[float, bool]], rate: float, weight_decay: float
) -> list[dict[str, Any]]:
    """The weights in one group for each kind, the largest scale of the learning rate first; without weights one group.

    kinds: of each weight the scale, and whether it is trained from the first update on.
    """
    found: dict[tuple[float, bool], list[Tensor]] = defaultdict(list)
    for name, weight in weights.items():
        found[kinds[name]].append(weight)
    return [
        {"params": found[kind], "weight_decay": weight_decay, "lr": rate * kind[0], "lr_scale": kind[0]}
        for kind in sorted(found, reverse=True) or [(1.0, True)]
    ]


def _muon_matrices(model: nn.Module, trainable: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The trainable matrices, except embeddings and output layers."""
    outer = token_weights(model)
    return {name: p for name, p in trainable.items() if p.ndim == 2 and name not in outer}
