"""Activation that is recomputed in the backward pass (SiLU)."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asrattn.layers.dropout import Dropout


def project_silu(x: Tensor, out: nn.Module, dropout: Dropout | None = None) -> Tensor:
    """out(dropout(SiLU(x))): (..., I) -> (..., O).

    On a CPU the input of `out` is not kept for the backward pass, which makes it again from x: one more pass over the
    memory for half of what a feed-forward net keeps, and faster, since fresh memory is what costs most there.
    """
    if x.device.type != "cpu" or not torch.is_grad_enabled() or torch.compiler.is_compiling():
        y: Tensor = out(dropout(F.silu(x)) if dropout else F.silu(x))
        return y
    mask = dropout.mask(x) if dropout else None
    return _without_keeping(out, lambda: F.silu(x) if mask is None else F.silu(x).mul_(mask))


def _without_keeping(layer: nn.Module, make: Callable[[], Tensor]) -> Tensor:
    """layer(make()); what autograd would keep of its input is recomputed in the backward pass."""
    x = make()
    place = x.data_ptr()

    def pack(kept: Tensor) -> Tensor | Callable[[], Tensor]:
        if kept.data_ptr() != place:
            return kept
        shape = kept.shape
        return lambda: make().view(shape)

    with torch.autograd.graph.saved_tensors_hooks(pack, _unpack):
        y: Tensor = layer(x)
    return y


def _unpack(kept: Tensor | Callable[[], Tensor]) -> Tensor:
    return kept if isinstance(kept, Tensor) else kept()
