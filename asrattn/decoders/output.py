"""Output of a decoder in the teacher-forced pass."""

from typing import NamedTuple

from torch import Tensor


class DecoderOutput(NamedTuple):
    """logits (B, U, V) of the next tokens; attention weights of each layer and head (B, H, U, T)."""

    logits: Tensor
    weights: tuple[Tensor, ...]

    @property
    def last_layer_weights(self) -> Tensor:
        """(B, U, T): of the last layer, the mean over its heads."""
        return self.weights[-1].mean(1)
