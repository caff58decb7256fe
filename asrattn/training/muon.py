"""Muon optimizer: momentum steps that are orthogonalised (Jordan 2024)."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from asrattn.training.precision import has_native_bf16

_A, _B, _C = 3.4445, -4.7750, 2.0315  # of Jordan 2024: they raise small singular values fastest


class Muon(Optimizer):
    """Gradient descent with Nesterov's momentum, whose steps are made orthogonal (Jordan 2024; Liu et al. 2025).

        M ← μ M + (1 - μ) G,   W ← (1 - η λ) W - 0.2 η √max(m, n) · O(μ M + (1 - μ) G)    for W (m, n)

    O of a matrix with the singular vectors U and V is about U Vᵀ. With 0.2 √max(m, n) a step is as large as AdamW's.

    steps   of Newton and Schulz towards O; torch's own Muon takes five. Three were as good for LSTMs, at three fifths
            of the cost
    """

    def __init__(
        self,
        params: Iterable[Any],
        learning_rate: float,
        momentum: float,
        steps: int,
        weight_decay: float = 0.0,
    ):
        super().__init__(
            params,
            {"lr": learning_rate, "momentum": momentum, "steps": steps, "weight_decay": weight_decay},
        )

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            rate, momentum, steps = group["lr"], group["momentum"], group["steps"]
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["momentum_buffer"] = torch.zeros_like(weight)
                kept = state["momentum_buffer"].lerp_(weight.grad, 1 - momentum)
                way = _orthogonalize_sharded(weight.grad.lerp(kept, momentum), steps)
                weight.mul_(1 - rate * group["weight_decay"])
                weight.add_(way, alpha=-0.2 * rate * math.sqrt(max(weight.shape)))


def _orthogonalize_sharded(matrix: Tensor, steps: int) -> Tensor:
    """For a sharded matrix: every process orthogonalises the whole, and keeps its shard."""
    if not hasattr(matrix, "full_tensor"):
        return orthogonalize(matrix, steps)
    from torch.distributed.tensor import (
        DTensor,
        Replicate,
    )  # imported here: it takes seconds and only FSDP needs it

    assert isinstance(matrix, DTensor)
    found = DTensor.from_local(orthogonalize(matrix.full_tensor(), steps), matrix.device_mesh, [Replicate()])
    return found.redistribute(placements=matrix.placements)


def orthogonalize(matrix: Tensor, steps: int) -> Tensor:
    """(m, n) -> about U Vᵀ (m, n): singular values near 1, except those near 0. In bf16 if that is fast."""
    wide = matrix.shape[0] <= matrix.shape[1]
    fast = matrix.device.type != "cpu" or has_native_bf16()
    x = matrix.to(torch.bfloat16 if fast else torch.float32)
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(steps):
        gram = x @ x.T if wide else x.T @ x  # the smaller of both
        change = torch.addmm(gram, gram, gram, beta=_B, alpha=_C)
        x = torch.addmm(x, change, x, beta=_A) if wide else torch.addmm(x, x, change, beta=_A)
    return x
