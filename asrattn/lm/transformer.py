"""Transformer language model with cached keys."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from asrattn.config import check
from asrattn.layers import Cache, Dropout, FeedForward, Positions, SelfAttention, TokenEmbedding, causal


@dataclass(frozen=True)
class TransformerLMConfig:
    """`layers` of self-attention and a feed-forward net of `hidden` (Irie et al. 2019)."""

    kind: Literal["transformer"] = "transformer"
    dim: int = 256
    layers: int = 6
    heads: int = 4
    hidden: int = 1024
    positions: Positions = "rotary"
    dropout: float = 0.1

    def __post_init__(self) -> None:
        sizes = (self.dim, self.layers, self.heads, self.hidden)
        check(min(sizes) > 0, "dim, layers, heads and hidden must be positive")
        check(self.dim % self.heads == 0, f"dim {self.dim} is no multiple of heads {self.heads}")


class TransformerLMState(NamedTuple):
    """Keys and values of the tokens so far, one cache for each layer."""

    layers: tuple[Cache, ...]


class TransformerLM(nn.Module):
    """Pre-norm layers (Vaswani et al. 2017); what embeds the tokens gives the logits too (Press & Wolf 2017)."""

    def __init__(self, config: TransformerLMConfig, vocabulary: int):
        super().__init__()
        self.config = config
        self.embed = TokenEmbedding(vocabulary, config.dim, config.positions, config.dropout)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.dim)
        self.bias = nn.Parameter(self.embed.weight.new_zeros(vocabulary))

    def start(self, n: int) -> TransformerLMState:
        heads = self.config.heads
        empty = self.embed.weight.new_zeros(n, heads, 0, self.config.dim // heads)
        return TransformerLMState(tuple(Cache(empty, empty) for _ in self.layers))

    def step(self, tokens: Tensor, state: TransformerLMState) -> tuple[Tensor, TransformerLMState]:
        x = self.embed(tokens[:, None], start=state.layers[0].keys.shape[2])[:, 0]
        caches = []
        for layer, cache in zip(self.layers, state.layers, strict=True):
            assert isinstance(layer, Layer)
            x, cache = layer.step(x, cache)
            caches.append(cache)
        return self._logits(x), TransformerLMState(tuple(caches))

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens)
        past = causal(tokens.shape[1], x.device)
        for layer in self.layers:
            x = layer(x, past)
        return self._logits(x)

    def _logits(self, x: Tensor) -> Tensor:
        return F.linear(self.norm(x), self.embed.weight, self.bias)


class Layer(nn.Module):
    """x (B, U, D) -> (B, U, D), each position from itself and those before it."""

    def __init__(self, config: TransformerLMConfig):
        super().__init__()
        D = config.dim
        self.norms = nn.ModuleList(nn.LayerNorm(D) for _ in range(2))
        self.self_attention = SelfAttention(D, config.heads, config.dropout, config.positions == "rotary")
        self.feed_forward = FeedForward(D, config.hidden, config.dropout)
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor, past: Tensor) -> Tensor:
        return self._feed(self.dropout.add(x, self.self_attention(self.norms[0](x), past)))

    def step(self, x: Tensor, cache: Cache) -> tuple[Tensor, Cache]:
        """The next position alone: x (N, D) -> (N, D) and the longer cache."""
        attended, cache = self.self_attention.step(self.norms[0](x), cache)
        return self._feed(x + attended), cache

    def _feed(self, x: Tensor) -> Tensor:
        return self.dropout.add(x, self.feed_forward(self.norms[1](x)))
