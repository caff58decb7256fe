"""Learning rate, optimiser and what is not to decay."""

import math

import torch
from torch import nn

from asrattn.training.recipe import TrainConfig


def factor(progress: float, warmup: float, floor: float = 0.0) -> float:
    """The share of the full learning rate at `progress` (0 at the first step, 1 after the last): linear up, then a
    half cosine down to `floor`. A function of progress alone: nothing has to be restored when a run is resumed."""
    if progress < warmup:
        return progress / warmup
    fall = 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - warmup) / (1 - warmup))))
    return floor + (1 - floor) * fall


def optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter, 2019); only matrices decay, not biases, gains and other vectors."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    # The fused step is three times as fast; with fp16 it would unscale the gradients only after they are clipped.
    fused = config.precision != "fp16"
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=config.betas, fused=fused)
