"""Recurrent decoder with attention (Listen, Attend and Spell)."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from asrattn.attention.interface import build as build_attention
from asrattn.attention.memory import Memory
from asrattn.decoders.config import RecurrentDecoderConfig
from asrattn.decoders.output import DecoderOutput
from asrattn.decoders.unrolled_cell import UnrolledCell, lstm_step
from asrattn.layers.dropout import Dropout
from asrattn.layers.linear import Linear
from asrattn.lengths import mask

Cell = Callable[[Tensor, tuple[Tensor, ...]], tuple[Tensor, ...]]
"""x (N, I), the state of a layer, hidden first -> the next state."""

CELLS = {"lstm": nn.LSTMCell, "gru": nn.GRUCell, "rnn": nn.RNNCell}


class RecurrentState(NamedTuple):
    """layers: of each, hidden and in an LSTM cell (N, dim); context (N, D); looks: the attention's state."""

    layers: tuple[tuple[Tensor, ...], ...]
    context: Tensor
    attention_state: Any


class RecurrentDecoder(nn.Module):
    """s_u = RNN(s_{u-1}, [y_{u-1}; c_{u-1}]), c_u = attention(s_u), logits = W [s_u; c_u] (Chan et al. 2016)."""

    max_tokens: int | None = None

    def __init__(self, config: RecurrentDecoderConfig, values: int, vocabulary: int):
        super().__init__()
        self.config = config
        self.attention = build_attention(config.attention, config.dim, values)
        context = self.attention.dim
        inputs = [config.embedding + context] + [config.dim] * (config.layers - 1)
        self.embed = nn.Embedding(vocabulary, config.embedding)
        self.cells = nn.ModuleList(CELLS[config.kind](size, config.dim) for size in inputs)
        self.out = nn.Sequential(
            Linear(config.dim + context, config.dim),
            nn.Tanh(),
            Dropout(config.dropout),
            nn.Linear(config.dim, vocabulary),
        )
        self.dropout = Dropout(config.dropout)

    def prepare(self, enc: Tensor, lens: Tensor) -> Memory:
        return self.attention.prepare(enc, mask(lens, enc.shape[1]))

    def start(self, memory: Memory) -> RecurrentState:
        """All zero."""
        B = len(memory.mask)
        zero = self.embed.weight.new_zeros(B, self.config.dim)
        layer = (zero, zero) if self.config.kind == "lstm" else (zero,)
        context = memory.values.new_zeros(B, self.attention.dim)
        return RecurrentState((layer,) * self.config.layers, context, self.attention.start(memory))

    def step(self, tokens: Tensor, state: RecurrentState, memory: Memory) -> tuple[Tensor, RecurrentState]:
        features, _, state = self._advance(self.embed(tokens), state, memory, map(_single, self.cells))
        return self.out(features), state

    def forward(self, tokens: Tensor, enc: Tensor, lens: Tensor) -> DecoderOutput:
        memory = self.prepare(enc, lens)
        state = self.start(memory)
        N, U = tokens.shape
        device = enc.device.type
        casts = torch.is_autocast_enabled(device)
        dtype = torch.get_autocast_dtype(device) if casts else self.embed.weight.dtype
        cells = [UnrolledCell(cell, N, U, dtype) for cell in self.cells]
        embedded = self.dropout(self.embed(tokens).to(dtype))
        features: list[Tensor] = []
        weights: list[Tensor] = []
        for token in embedded.unbind(1):
            if features and self.training and self.config.scheduled_sampling:
                token = self._sample(token, features[-1])
            feature, look, state = self._advance(token, state, memory, cells)
            features.append(feature)
            weights.append(look)
        return DecoderOutput(self.out(torch.stack(features, dim=1)), (torch.stack(weights, dim=2),))

    def _advance(
        self, embedded: Tensor, state: RecurrentState, memory: Memory, cells: Iterable[Cell]
    ) -> tuple[Tensor, Tensor, RecurrentState]:
        """embedded (N, E) -> the features [s; c] (N, dim + D) of the next token, weights (N, H, T), state."""
        x = torch.cat((embedded, state.context.to(embedded.dtype)), dim=-1)
        layers = []
        for cell, layer in zip(cells, state.layers, strict=True):
            layers.append(cell(x, layer))
            x = self.dropout(layers[-1][0])
        context, weights, looks = self.attention(x, memory, state.attention_state)
        state = RecurrentState(tuple(layers), context, looks)
        return torch.cat((x, context.to(x.dtype)), dim=-1), weights, state

    def _sample(self, truth: Tensor, features: Tensor) -> Tensor:
        """Scheduled sampling: in a random part of the batch, the embedding of a token drawn from the prediction."""
        with torch.no_grad():
            drawn = self.out(features).float().softmax(-1).multinomial(1)[:, 0]
            swap = torch.rand(len(drawn), 1, device=drawn.device) < self.config.scheduled_sampling
        return torch.where(swap, self.dropout(self.embed(drawn).to(truth.dtype)), truth)


def _single(cell: nn.Module) -> Cell:
    """One step of a layer."""
    return (
        partial(lstm_step, cell) if isinstance(cell, nn.LSTMCell) else lambda x, state: (cell(x, state[0]),)
    )
