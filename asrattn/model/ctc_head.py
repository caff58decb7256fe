"""CTC head: encoder output -> log-probabilities of the CTC labels."""

from torch import Tensor, nn

from asrattn.encoders.recurrent import RecurrentLayer
from asrattn.layers.linear import Linear


class CTCHead(Linear):
    """A linear map (B, T, inputs) -> (B, T, outputs); with `dim`, after a bidirectional LSTM layer of so many cells."""

    def __init__(self, inputs: int, outputs: int, dim: int):
        super().__init__(2 * dim or inputs, outputs)
        self.recurrent = RecurrentLayer(nn.LSTM, inputs, dim, True, "layer") if dim else None

    def log_probs(self, frames: Tensor, lens: Tensor) -> Tensor:
        """frames (B, T, inputs), lens (B,) -> (B, T, outputs), float32."""
        if self.recurrent is not None:
            frames = self.recurrent(frames, lens)
        found: Tensor = self(frames).float().log_softmax(-1)
        return found
