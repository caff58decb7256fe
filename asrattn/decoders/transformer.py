"""Transformer decoder with a key/value cache."""

from typing import NamedTuple

from torch import Tensor, nn

from asrattn.attention import MultiHeadAttentionConfig
from asrattn.attention.memory import Memory
from asrattn.attention.multihead import MultiHeadAttention
from asrattn.decoders.config import TransformerDecoderConfig
from asrattn.decoders.output import DecoderOutput
from asrattn.layers.dropout import Dropout
from asrattn.layers.embedding import TokenEmbedding, causal_mask
from asrattn.layers.feed_forward import FeedForward
from asrattn.layers.kv_cache import KeyValues, KVCache
from asrattn.layers.linear import Linear
from asrattn.layers.self_attention import SelfAttention
from asrattn.lengths import mask


class TransformerMemory(NamedTuple):
    """Prepared keys and values, one memory for each layer."""

    layers: tuple[Memory, ...]


class TransformerDecoder(nn.Module):
    """Pre-norm layers (Vaswani et al. 2017).

    All U positions of the teacher-forced pass go through the one attention interface as K = U queries.
    """

    max_tokens: int | None = None

    def __init__(self, config: TransformerDecoderConfig, values: int, vocabulary: int):
        super().__init__()
        self.config = config
        self.embed = TokenEmbedding(vocabulary, config.dim, config.positions, config.dropout)
        self.layers = nn.ModuleList(TransformerDecoderLayer(config, values) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.dim)
        self.out = Linear(config.dim, vocabulary)

    def _stack(self) -> list["TransformerDecoderLayer"]:
        return [layer for layer in self.layers if isinstance(layer, TransformerDecoderLayer)]

    def prepare(self, enc: Tensor, lens: Tensor) -> TransformerMemory:
        real = mask(lens, enc.shape[1])
        return TransformerMemory(tuple(layer.attention.prepare(enc, real) for layer in self._stack()))

    def start(self, memory: TransformerMemory) -> KVCache:
        keys, heads = memory.layers[0].keys, self.config.heads
        return KVCache.empty(keys, len(keys), self.config.layers, heads, self.config.dim // heads)

    def step(self, tokens: Tensor, state: KVCache, memory: TransformerMemory) -> tuple[Tensor, KVCache]:
        x = self.embed(tokens[:, None], start=state.length)[:, 0]
        paths, grown = state.extended_paths(), []
        for layer, nodes, prepared in zip(self._stack(), state.layers, memory.layers, strict=True):
            x, nodes = layer.step(x, nodes, paths, state.length, prepared)
            grown.append(nodes)
        return self.out(self.norm(x)), state.append(grown, paths)

    def forward(self, tokens: Tensor, enc: Tensor, lens: Tensor) -> DecoderOutput:
        memory = self.prepare(enc, lens)
        x = self.embed(tokens)
        past = causal_mask(tokens.shape[1], x.device)
        weights = []
        for layer, prepared in zip(self._stack(), memory.layers, strict=True):
            x, looks = layer(x, past, prepared)
            weights.append(looks)
        return DecoderOutput(self.out(self.norm(x)), tuple(weights))


class TransformerDecoderLayer(nn.Module):
    """x (B, U, D) over memory -> x, and the attention weights (B, H, U, T)."""

    def __init__(self, config: TransformerDecoderConfig, values: int):
        super().__init__()
        D = config.dim
        self.norms = nn.ModuleList(nn.LayerNorm(D) for _ in range(3))
        self.self_attention = SelfAttention(D, config.heads, config.dropout, config.positions == "rotary")
        looks = MultiHeadAttentionConfig(dim=D, heads=config.heads, dropout=config.dropout)
        self.attention = MultiHeadAttention(looks, D, values)
        self.feed_forward = FeedForward(D, config.ffn_dim, config.dropout)
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor, past: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        x = self.dropout.add(x, self.self_attention(self.norms[0](x), past))
        B, U, _ = x.shape
        looked, weights = self._cross_attend(x.flatten(0, 1), memory)
        return self._feed(looked).view(B, U, -1), weights.view(B, U, *weights.shape[1:]).transpose(1, 2)

    def step(
        self, x: Tensor, nodes: KeyValues, path_mask: Tensor, position: int, memory: Memory
    ) -> tuple[Tensor, KeyValues]:
        """The next position alone: x (N, D) -> (N, D), and the nodes with the new ones."""
        attended, nodes = self.self_attention.step(self.norms[0](x), nodes, path_mask, position)
        return self._feed(self._cross_attend(x + attended, memory)[0]), nodes

    def _cross_attend(self, x: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        context, weights, _ = self.attention(self.norms[1](x), memory, ())
        return self.dropout.add(x, context), weights

    def _feed(self, x: Tensor) -> Tensor:
        return self.dropout.add(x, self.feed_forward(self.norms[2](x)))
