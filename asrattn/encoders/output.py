"""Output of an encoder."""

from typing import NamedTuple

from torch import Tensor


class EncoderOutput(NamedTuple):
    """output (B, T, D), lens (B,); middle (B, T, D): frames of the middle layer, if their rate is the same."""

    output: Tensor
    lens: Tensor
    middle: Tensor | None
