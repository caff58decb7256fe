"""Activations that are recomputed in the backward pass: SiLU, GELU."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asrattn.layers.config import Activation
from asrattn.layers.dropout import Dropout

_FUNCTIONS: dict[Activation, Callable[[Tensor], Tensor]] = {"silu": F.silu, "gelu": F.gelu}


def project_activated(
    x: Tensor, out: nn.Module, dropout: Dropout | None = None, activation: Activation = "silu"
) -> Tensor:
    """out(dropout(activation(x))): (..., I) -> (..., O).

    On a CPU the input of `out` is not kept for the backward pass, which makes it again from x: one more pass over the
    memory for half of what a feed-forward net keeps, and faster, since fresh memory is what costs most there.
    """
    function = _FUNCTIONS[activation]
    if x.device.type != "cpu" or not torch.is_grad_enabled() or torch.compiler.is_compiling():
        y: Tensor = out(dropout(function(x)) if dropout else function(x))
        return y
    mask = dropout.mask(x) if dropout else None
    return _without_keeping(out, lambda: function(x) if mask is None else function(x).mul_(mask))


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
