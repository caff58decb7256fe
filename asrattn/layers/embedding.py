"""Token embedding, and the causal mask."""

import math

import torch
from torch import Tensor, nn

from asrattn.layers.config import Positions
from asrattn.layers.dropout import Dropout
from asrattn.layers.positions import sinusoids


class TokenEmbedding(nn.Embedding):
    """What a Transformer reads (Vaswani et al. 2017): √D times the token's vector, its position, dropout."""

    def __init__(self, vocabulary: int, dim: int, positions: Positions, dropout: float):
        super().__init__(vocabulary, dim)
        nn.init.normal_(self.weight, std=dim**-0.5)
        self.positions = positions
        self.dropout = Dropout(dropout)

    def forward(self, tokens: Tensor, start: int = 0) -> Tensor:
        """(B, U), the first of which stands at place `start` -> (B, U, D)."""
        x = super().forward(tokens) * math.sqrt(self.embedding_dim)
        if self.positions == "sinusoidal":
            x = x + sinusoids(tokens.shape[1], self.embedding_dim, start, x.device).to(x.dtype)
        dropped: Tensor = self.dropout(x)
        return dropped


def causal_mask(length: int, device: torch.device) -> Tensor:
    """(1, length, length): each position sees itself and those before it."""
    return torch.ones(length, length, dtype=torch.bool, device=device).tril()[None]
