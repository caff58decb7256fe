"""Recurrent encoders: RNN, GRU and LSTM, uni- or bidirectional, with subsampling or as a pyramid."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from asrattn import lengths
from asrattn.encoders.config import RecurrentEncoderConfig, RecurrentNorm
from asrattn.encoders.output import EncoderOutput
from asrattn.encoders.subsampling import build_subsampling, stack_pairs
from asrattn.layers.dropout import Dropout
from asrattn.layers.norm import apply_norm, build_norm
from asrattn.layers.recurrent import run_recurrent

Cell = Callable[[int, int], nn.Module]  # inputs, cells -> the layer of one direction
CELLS: dict[str, Cell] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


class RecurrentEncoder(nn.Module):
    """Recurrent layers: feats (B, F, M) -> frames (B, T, dim or 2·dim)."""

    def __init__(self, config: RecurrentEncoderConfig, features: int):
        super().__init__()
        self.dim = config.dim * (2 if config.bidirectional else 1)
        self.pyramid = 0
        self.front = None
        self.norm: nn.Module = nn.Identity()
        inputs = features
        if config.subsampling == "pyramid":
            self.pyramid = config.factor.bit_length() - 1
        else:
            self.front = build_subsampling(
                config.subsampling, features, config.dim, config.channels, config.factor
            )
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

    def forward(self, feats: Tensor, lens: Tensor) -> EncoderOutput:
        x, middle = feats, None
        if self.front is not None:
            x, lens = self.front(x, lens)
            x = apply_norm(self.norm, x, lengths.mask(lens, x.shape[1]))
        for number, layer in enumerate(self.layers):
            if number < self.pyramid:
                x, lens = stack_pairs(x, lens)
            x = layer(self.dropout(x) if number else x, lens)
            if number == (len(self.layers) - 1) // 2 and number + 1 >= self.pyramid:
                middle = x
        return EncoderOutput(self.dropout(x).contiguous(), lens, middle)


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
        return (apply_norm(self.norm, torch.cat(outputs, dim=-1), real) * real[..., None]).transpose(0, 1)


def _norm(kind: RecurrentNorm, dim: int) -> nn.Module:
    return nn.Identity() if kind == "none" else build_norm(kind, dim)
