"""Recurrent layers: nn.LSTM, nn.GRU and nn.RNN under bfloat16 autocast."""

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn


def run_recurrent(layer: nn.Module, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
    """layer(x, state), computed in float32 under bfloat16 autocast if the CPU has no bfloat16 LSTM kernel.

    On such a processor torch's LSTM fails under autocast; a GRU works, and takes ten times as long as in float32.
    state: float32, as in nn.RNNBase. The output is float32 then.
    """
    if x.device.type != "cpu" or not torch.is_autocast_enabled("cpu") or has_bf16_lstm():
        output, state = layer(x, state)
    else:
        with torch.autocast("cpu", enabled=False):
            output, state = layer(x.float(), state)
    return output, state


@cache
def has_bf16_lstm() -> bool:
    """Whether oneDNN has a bfloat16 LSTM kernel for this processor. A tiny layer is run once to find out."""
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        try:
            nn.LSTM(1, 1)(torch.zeros(1, 1, 1))
        except RuntimeError as error:
            if "primitive descriptor" not in str(error):
                raise
            return False
    return True
