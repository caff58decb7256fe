"""Configuration of every decoder; `DecoderConfig` is their union."""

from dataclasses import dataclass, field
from typing import Literal

from asrattn.attention import AttentionConfig, LocationAwareAttentionConfig
from asrattn.config import check
from asrattn.layers import Positions


@dataclass(frozen=True)
class RecurrentDecoderConfig:
    """`layers` of `dim` cells.

    kind                 lstm (Hochreiter & Schmidhuber 1997), gru (Cho et al. 2014) or rnn, with tanh (Elman 1990)
    scheduled_sampling   scheduled sampling (Bengio et al. 2015): probability that the decoder's input in training is
                         sampled from its last prediction instead of the reference
    """

    kind: Literal["lstm", "gru", "rnn"] = "lstm"
    dim: int = 256
    layers: int = 1
    embedding: int = 128
    attention: AttentionConfig = field(default_factory=LocationAwareAttentionConfig)
    dropout: float = 0.2
    scheduled_sampling: float = 0.0

    def __post_init__(self) -> None:
        check(min(self.dim, self.layers, self.embedding) > 0, "dim, layers and embedding must be positive")
        rate = self.scheduled_sampling
        check(0 <= rate <= 1, f"scheduled_sampling is {rate}; it must lie in [0, 1]")


@dataclass(frozen=True)
class TransformerDecoderConfig:
    """`layers` of self-attention, attention to the utterance, and a feed-forward net of `ffn_dim`."""

    kind: Literal["transformer"] = "transformer"
    dim: int = 256
    layers: int = 6
    heads: int = 4
    ffn_dim: int = 1024
    positions: Positions = "sinusoidal"
    dropout: float = 0.1

    def __post_init__(self) -> None:
        sizes = (self.dim, self.layers, self.heads, self.ffn_dim)
        check(min(sizes) > 0, "dim, layers, heads and hidden must be positive")
        check(self.dim % self.heads == 0, f"dim {self.dim} is no multiple of heads {self.heads}")


@dataclass(frozen=True)
class WhisperDecoderConfig:
    """Whisper's decoder (Radford et al. 2023): learned positions, pre-norm layers, output tied to the embedding.

    max_tokens       positions, the prompt among them
    prompt           tokens before the first of the text: start, language, task, no timestamps
    suppress         tokens that decoding never chooses
    begin_suppress   tokens that it does not choose first
    alignment_heads  (layer, head) whose attention follows the audio; () for all of the last layer
    """

    kind: Literal["whisper"] = "whisper"
    dim: int = 384
    layers: int = 4
    heads: int = 6
    ffn_dim: int = 1536
    max_tokens: int = 448
    prompt: tuple[int, ...] = (3,)
    suppress: tuple[int, ...] = ()
    begin_suppress: tuple[int, ...] = ()
    alignment_heads: tuple[tuple[int, int], ...] = ()
    dropout: float = 0.0

    def __post_init__(self) -> None:
        sizes = (self.dim, self.layers, self.heads, self.ffn_dim)
        check(min(sizes) > 0, "dim, layers, heads and ffn_dim must be positive")
        check(self.dim % self.heads == 0, f"dim {self.dim} is no multiple of heads {self.heads}")
        check(0 < len(self.prompt) < self.max_tokens, f"prompt: needs 1 to {self.max_tokens - 1} tokens")
        for layer, head in self.alignment_heads:
            known = 0 <= layer < self.layers and 0 <= head < self.heads
            check(known, f"alignment_heads: there is no head {head} in layer {layer}")


DecoderConfig = RecurrentDecoderConfig | TransformerDecoderConfig | WhisperDecoderConfig
