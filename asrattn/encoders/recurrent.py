"""Recurrent encoders: plain, GRU and LSTM, in one direction or both, behind a front or as a pyramid."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from asrattn import lengths
from asrattn.config import check
from asrattn.encoders.encoded import Encoded
from asrattn.encoders.subsampling import front, stack_pairs
from asrattn.layers import Dropout, Norm, norm, normalized, run_recurrent

RecurrentNorm = Literal["none", Norm]


@dataclass(frozen=True)
class RecurrentConfig:
    """`dim` cells in each direction and layer.

    subsampling   conv, vgg: two-dimensional convolutions before the first layer (`subsampling`);
                  pyramid: pairs of frames are joined before each of the first layers (Chan et al. 2016)
    factor        frames in for a frame out: 2, 4 or 8
    channels      of the convolutions
    norm          of what the front and each layer give: layer, rms, batch (Amodei et al. 2016) or none. With one the
                  alignment is found several times as soon
    """

    kind: str = ""
    dim: int = 256
    layers: int = 4
    bidirectional: bool = True
    subsampling: Literal["conv", "vgg", "pyramid"] = "conv"
    factor: int = 4
    channels: int = 32
    norm: RecurrentNorm = "layer"
    dropout: float = 0.2

    def __post_init__(self) -> None:
        check(min(self.dim, self.layers, self.channels) > 0, "dim, layers and channels must be positive")
        check(self.factor in (2, 4, 8), f"factor is {self.factor}; it must be 2, 4 or 8")
        steps = self.factor.bit_length() - 1
        enough = self.subsampling != "pyramid" or self.layers > steps
        check(enough, f"a pyramid of factor {self.factor} needs more than {steps} layers")


@dataclass(frozen=True)
class RNNEncoderConfig(RecurrentConfig):
    """h_t = tanh(W x_t + U h_{t-1} + b) (Elman 1990; both directions: Schuster & Paliwal 1997)."""

    kind: Literal["rnn"] = "rnn"


@dataclass(frozen=True)
class GRUEncoderConfig(RecurrentConfig):
    """h_t = (1 - z_t) ⊙ tanh(W x_t + r_t ⊙ U h_{t-1} + b) + z_t ⊙ h_{t-1}, with gates r and z (Cho et al. 2014)."""

    kind: Literal["gru"] = "gru"


@dataclass(frozen=True)
class LSTMEncoderConfig(RecurrentConfig):
    """c_t = f_t ⊙ c_{t-1} + i_t ⊙ tanh(W x_t + U h_{t-1} + b), h_t = o_t ⊙ tanh(c_t), with gates i, f and o
    (Hochreiter & Schmidhuber 1997; for speech in both directions Graves et al. 2013)."""

    kind: Literal["lstm"] = "lstm"


Cell = Callable[[int, int], nn.Module]  # inputs, cells -> the layer of one direction
CELLS: dict[str, Cell] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


class RecurrentEncoder(nn.Module):
    """Recurrent layers: feats (B, F, M) -> frames (B, T, dim or 2·dim)."""

    def __init__(self, config: RecurrentConfig, features: int):
        super().__init__()
        self.dim = config.dim * (2 if config.bidirectional else 1)
        self.pyramid = 0
        self.front = None
        self.norm: nn.Module = nn.Identity()
        inputs = features
        if config.subsampling == "pyramid":
            self.pyramid = config.factor.bit_length() - 1
        else:
            self.front = front(config.subsampling, features, config.dim, config.channels, config.factor)
            self.norm = _norm(config.norm, config.dim)
            inputs = config.dim
        sizes = [inputs] + [self.dim] * (config.layers - 1)
        sizes = [2 * size if layer < self.pyramid else size for layer, size in enumerate(sizes)]
        cell = CELLS[config.kind]
        self.layers = nn.ModuleList(
            RecurrentLayer(cell, size, config.dim, config.bidirectional, config.norm) for size in sizes
        )
        self.dropout = Dropout(config.dropout)

    def lens(self, feat_lens: Tensor) -> Tensor:
        if self.front is not None:
            return self.front.lens(feat_lens)
        for _ in range(self.pyramid):
            feat_lens = (feat_lens + 1) // 2
        return feat_lens

    def forward(self, feats: Tensor, lens: Tensor) -> Encoded:
        x, middle = feats, None
        if self.front is not None:
            x, lens = self.front(x, lens)
            x = normalized(self.norm, x, lengths.mask(lens, x.shape[1]))
        for number, layer in enumerate(self.layers):
            if number < self.pyramid:
                x, lens = stack_pairs(x, lens)
            x = layer(self.dropout(x) if number else x, lens)
            if number == (len(self.layers) - 1) // 2 and number + 1 >= self.pyramid:
                middle = x
        return Encoded(self.dropout(x).contiguous(), lens, middle)


class RecurrentLayer(nn.Module):
    """One layer and its norm, (B, T, I) -> (B, T, dim or 2·dim), zero on padding.

    The backward direction is a forward one over each sequence turned around within its length. That is
    exact, and keeps the fused kernel of the LSTM on CPUs, which packed sequences lose.
    """

    def __init__(self, cell: Cell, inputs: int, dim: int, bidirectional: bool, norm: RecurrentNorm):
        super().__init__()
        directions = 2 if bidirectional else 1
        self.directions = nn.ModuleList(cell(inputs, dim) for _ in range(directions))
        self.norm = _norm(norm, dim * directions)

    def forward(self, x: Tensor, lens: Tensor) -> Tensor:
        x = x.transpose(0, 1)  # time first, as the kernel wants it; between two layers it costs no copy
        outputs = [run_recurrent(self.directions[0], x)[0]]
        if len(self.directions) == 2:
            backward = run_recurrent(self.directions[1], lengths.reverse(x, lens))[0]
            outputs.append(lengths.reverse(backward, lens))
        real = lengths.mask(lens, len(x)).t()
        return (normalized(self.norm, torch.cat(outputs, dim=-1), real) * real[..., None]).transpose(0, 1)


def _norm(kind: RecurrentNorm, dim: int) -> nn.Module:
    return nn.Identity() if kind == "none" else norm(kind, dim)
