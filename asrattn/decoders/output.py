"""Output of a decoder in the teacher-forced pass."""

from typing import NamedTuple

import torch
from torch import Tensor


class DecoderOutput(NamedTuple):
    """logits (B, U, V) of the next tokens; attention weights of each layer and head (B, H, U, T).

    alignment_heads: (layer, head) of those that follow the audio; () if that is not known.
    """

    logits: Tensor
    weights: tuple[Tensor, ...]
    alignment_heads: tuple[tuple[int, int], ...] = ()

    @property
    def alignment_weights(self) -> Tensor:
        """(B, U, T): the mean over the alignment heads, or over all heads of the last layer."""
        if self.alignment_heads:
            return torch.stack([self.weights[layer][:, head] for layer, head in self.alignment_heads]).mean(0)
        return self.weights[-1].mean(1)
