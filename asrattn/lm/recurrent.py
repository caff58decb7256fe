"""LSTM language model."""

import math
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from asrattn.layers.dropout import Dropout
from asrattn.layers.recurrent import run_recurrent
from asrattn.lm.config import LSTMLMConfig


class LSTMState(NamedTuple):
    """Of every layer (N, layers, dim) each."""

    hidden: Tensor
    cell: Tensor


class LSTMLM(nn.Module):
    """p(y_u | y_1 … y_{u-1}) = softmax(E h_u + b); E embeds the tokens too (Press & Wolf 2017)."""

    def __init__(self, config: LSTMLMConfig, vocabulary: int):
        super().__init__()
        self.config = config
        self.embed = nn.Embedding(vocabulary, config.dim)
        nn.init.normal_(self.embed.weight, std=config.dim**-0.5)
        between = config.dropout if config.layers > 1 else 0.0
        self.lstm = nn.LSTM(config.dim, config.dim, config.layers, batch_first=True, dropout=between)
        self.bias = nn.Parameter(self.embed.weight.new_zeros(vocabulary))
        self.dropout = Dropout(config.dropout)

    def start(self, n: int) -> LSTMState:
        zero = self.embed.weight.new_zeros(n, self.config.layers, self.config.dim)
        return LSTMState(zero, zero)

    def step(self, tokens: Tensor, state: LSTMState) -> tuple[Tensor, LSTMState]:
        hidden, cell = (each.transpose(0, 1).contiguous() for each in state)
        x, (hidden, cell) = run_recurrent(self.lstm, self._embed(tokens[:, None]), (hidden, cell))
        return self._logits(x[:, 0]), LSTMState(hidden.transpose(0, 1), cell.transpose(0, 1))

    def forward(self, tokens: Tensor) -> Tensor:
        return self._logits(self.dropout(run_recurrent(self.lstm, self._embed(tokens))[0]))

    def _embed(self, tokens: Tensor) -> Tensor:
        dropped: Tensor = self.dropout(self.embed(tokens) * math.sqrt(self.config.dim))
        return dropped

    def _logits(self, x: Tensor) -> Tensor:
        return F.linear(x, self.embed.weight, self.bias)
