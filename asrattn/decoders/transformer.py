"""Transformer decoder with a key/value cache."""

from typing import NamedTuple

from torch import Tensor, nn

from asrattn.attention import MultiHeadAttentionConfig
from asrattn.attention.memory import Memory
from asrattn.attention.multihead import MultiHeadAttention
from asrattn.decoders.config import TransformerDecoderConfig
from asrattn.decoders.output import DecoderOutput
from asrattn.layers.config import Activation
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
        self.layers = nn.ModuleList(
            TransformerDecoderLayer(
                config.dim, config.heads, config.ffn_dim, config.dropout, config.positions == "rotary", values
            )
            for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(config.dim)
        self.out = Linear(config.dim, vocabulary)

    def prepare(self, enc: Tensor, lens: Tensor) -> TransformerMemory:
        return prepare_layers(self.layers, enc, lens)

    def start(self, memory: TransformerMemory) -> KVCache:
        keys, heads = memory.layers[0].keys, self.config.heads
        return KVCache.empty(keys, len(keys), self.config.layers, heads, self.config.dim // heads)

    def step(self, tokens: Tensor, state: KVCache, memory: TransformerMemory) -> tuple[Tensor, KVCache]:
        x, state = step_layers(
            self.layers, self.embed(tokens[:, None], start=state.length)[:, 0], state, memory
        )
        return self.out(self.norm(x)), state

    def forward(self, tokens: Tensor, enc: Tensor, lens: Tensor) -> DecoderOutput:
        x, weights = run_layers(self.layers, self.embed(tokens), self.prepare(enc, lens))
        return DecoderOutput(self.out(self.norm(x)), weights)


def prepare_layers(layers: nn.ModuleList, enc: Tensor, lens: Tensor) -> TransformerMemory:
    """Keys and values of enc (B, T, D), lens (B,) for each TransformerDecoderLayer."""
    real = mask(lens, enc.shape[1])
    return TransformerMemory(tuple(layer.attention.prepare(enc, real) for layer in _stack(layers)))


def step_layers(
    layers: nn.ModuleList, x: Tensor, state: KVCache, memory: TransformerMemory
) -> tuple[Tensor, KVCache]:
    """The next position: embeddings x (N, D) -> (N, D), state."""
    paths, grown = state.extended_paths(), []
    for layer, nodes, prepared in zip(_stack(layers), state.layers, memory.layers, strict=True):
        x, nodes = layer.step(x, nodes, paths, state.length, prepared)
        grown.append(nodes)
    return x, state.append(grown, paths)


def run_layers(
    layers: nn.ModuleList, x: Tensor, memory: TransformerMemory
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """All positions: embeddings x (B, U, D) -> (B, U, D), and the attention weights (B, H, U, T) of each layer."""
    past = causal_mask(x.shape[1], x.device)
    weights = []
    for layer, prepared in zip(_stack(layers), memory.layers, strict=True):
        x, attended = layer(x, past, prepared)
        weights.append(attended)
    return x, tuple(weights)


def _stack(layers: nn.ModuleList) -> list["TransformerDecoderLayer"]:
    return [layer for layer in layers if isinstance(layer, TransformerDecoderLayer)]


class TransformerDecoderLayer(nn.Module):
    """x (B, U, D) over memory -> x, and the attention weights (B, H, U, T)."""

    def __init__(
        self,
        dim: int,
        heads: int,
        ffn_dim: int,
        dropout: float,
        rotary: bool,
        values: int,
        activation: Activation = "silu",
    ):
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(3))
        self.self_attention = SelfAttention(dim, heads, dropout, rotary)
        attention = MultiHeadAttentionConfig(dim=dim, heads=heads, dropout=dropout)
        self.attention = MultiHeadAttention(attention, dim, values)
        self.feed_forward = FeedForward(dim, ffn_dim, dropout, activation)
        self.dropout = Dropout(dropout)

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
