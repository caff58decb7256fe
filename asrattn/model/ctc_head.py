"""CTC head: encoder output -> log-probabilities of the CTC labels."""

from torch import Tensor, nn

from asrattn.encoders.recurrent import RecurrentLayer
from asrattn.layers.dropout import Dropout
from asrattn.layers.linear import Linear


class CTCHead(Linear):
    """A linear map (B, T, inputs) -> (B, T, outputs); with `dim`, after a bidirectional LSTM layer of so many cells,
    with dropout before and behind it."""

    def __init__(self, inputs: int, outputs: int, dim: int, dropout: float):
        super().__init__(2 * dim or inputs, outputs)
        self.dropout = Dropout(dropout)
        self.recurrent = RecurrentLayer(nn.LSTM, inputs, dim, True, "layer") if dim else None

    def log_probs(self, frames: Tensor, lens: Tensor) -> Tensor:
        """frames (B, T, inputs), lens (B,) -> (B, T, outputs), float32."""
        if self.recurrent is not None:
            frames = self.dropout(self.recurrent(self.dropout(frames), lens))
        found: Tensor = self(frames).float().log_softmax(-1)
        return found
