"""What a decoder gives in the teacher-forced pass."""

from typing import NamedTuple

from torch import Tensor


class Decoded(NamedTuple):
    """logits (B, U, V) of the next tokens; weights (B, U, T): where the attention looked for each of them."""

    logits: Tensor
    weights: Tensor
