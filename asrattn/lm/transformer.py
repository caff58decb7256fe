"""Transformer language model with a key/value cache."""

import torch.nn.functional as F
from torch import Tensor, nn

from asrattn.layers.dropout import Dropout
from asrattn.layers.embedding import TokenEmbedding, causal_mask
from asrattn.layers.feed_forward import FeedForward
from asrattn.layers.kv_cache import KeyValues, KVCache
from asrattn.layers.self_attention import SelfAttention
from asrattn.lm.config import TransformerLMConfig


class TransformerLM(nn.Module):
    """Pre-norm layers (Vaswani et al. 2017); what embeds the tokens gives the logits too (Press & Wolf 2017)."""

    def __init__(self, config: TransformerLMConfig, vocabulary: int):
        super().__init__()
        self.config = config
        self.embed = TokenEmbedding(vocabulary, config.dim, config.positions, config.dropout)
        self.layers = nn.ModuleList(TransformerLMLayer(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.dim)
        self.bias = nn.Parameter(self.embed.weight.new_zeros(vocabulary))

    def start(self, n: int) -> KVCache:
        heads = self.config.heads
        return KVCache.empty(self.embed.weight, n, self.config.layers, heads, self.config.dim // heads)

    def step(self, tokens: Tensor, state: KVCache) -> tuple[Tensor, KVCache]:
        x = self.embed(tokens[:, None], start=state.length)[:, 0]
        paths, grown = state.extended_paths(), []
        for layer, nodes in zip(self.layers, state.layers, strict=True):
            assert isinstance(layer, TransformerLMLayer)
            x, nodes = layer.step(x, nodes, paths, state.length)
            grown.append(nodes)
        return self._logits(x), state.append(grown, paths)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens)
        past = causal_mask(tokens.shape[1], x.device)
        for layer in self.layers:
            x = layer(x, past)
        return self._logits(x)

    def _logits(self, x: Tensor) -> Tensor:
        return F.linear(self.norm(x), self.embed.weight, self.bias)


class TransformerLMLayer(nn.Module):
    """x (B, U, D) -> (B, U, D), each position from itself and those before it."""

    def __init__(self, config: TransformerLMConfig):
        super().__init__()
        D = config.dim
        self.norms = nn.ModuleList(nn.LayerNorm(D) for _ in range(2))
        self.self_attention = SelfAttention(D, config.heads, config.dropout, config.positions == "rotary")
        self.feed_forward = FeedForward(D, config.ffn_dim, config.dropout)
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor, past: Tensor) -> Tensor:
        return self._feed(self.dropout.add(x, self.self_attention(self.norms[0](x), past)))

    def step(self, x: Tensor, nodes: KeyValues, path_mask: Tensor, position: int) -> tuple[Tensor, KeyValues]:
        """The next position alone: x (N, D) -> (N, D), and the nodes with the new ones."""
        attended, nodes = self.self_attention.step(self.norms[0](x), nodes, path_mask, position)
        return self._feed(x + attended), nodes

    def _feed(self, x: Tensor) -> Tensor:
        return self.dropout.add(x, self.feed_forward(self.norms[1](x)))
