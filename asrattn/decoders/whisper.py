"""Whisper's decoder."""

from copy import copy
from typing import Self

import torch
from torch import Tensor, nn

from asrattn.decoders.config import WhisperDecoderConfig
from asrattn.decoders.output import DecoderOutput
from asrattn.decoders.transformer import (
    TransformerDecoderLayer,
    TransformerMemory,
    prepare_layers,
    run_layers,
    step_layers,
)
from asrattn.encoders import WhisperEncoderConfig
from asrattn.encoders.whisper import sample_log_weights
from asrattn.errors import TextError
from asrattn.layers.dropout import Dropout
from asrattn.layers.kv_cache import KVCache
from asrattn.layers.linear import project
from asrattn.text import BLANK, EOS, UNKNOWN

NEVER = (
    -100.0
)  # the logit of BLANK and UNKNOWN, which Whisper does not have: next to nothing, but finite in losses


class WhisperDecoder(nn.Module):
    """The decoder of Radford et al. 2023. The prompt comes before the text; its last token stands for the first EOS."""

    def __init__(self, config: WhisperDecoderConfig, values: int, vocabulary: int):
        super().__init__()
        self.config = config
        self.prompt = config.prompt  # Recognizer changes it for another language or task
        self.encoder: WhisperEncoderConfig | None = None  # SpeechModel sets it over Whisper's encoder
        D = config.dim
        self.embed = nn.Embedding(vocabulary, D)
        nn.init.normal_(self.embed.weight, std=D**-0.5)
        self.positions = nn.Parameter(0.02 * torch.randn(config.max_tokens, D))
        self.dropout = Dropout(config.dropout)
        self.layers = nn.ModuleList(
            TransformerDecoderLayer(D, config.heads, config.ffn_dim, config.dropout, False, values, "gelu")
            for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(D)

    def with_prompt(self, prompt: tuple[int, ...]) -> Self:
        """This decoder with another prompt; they share the weights."""
        other = copy(self)
        other.prompt = prompt
        return other

    def with_timestamps(self) -> Self:
        """This decoder as it writes timestamps: its prompt lacks the last token, which forbids them."""
        return self.with_prompt(self.prompt[:-1])

    @property
    def max_tokens(self) -> int:
        """Of a text, EOS not counted."""
        return self.config.max_tokens - len(self.prompt)

    def prepare(self, enc: Tensor, lens: Tensor) -> TransformerMemory:
        memory = prepare_layers(self.layers, enc, lens)
        if self.encoder is None or not self.encoder.silence_samples:
            return memory
        weights = sample_log_weights(
            lens, enc.shape[1], self.encoder.silence_samples, self.encoder.max_frames
        )
        return TransformerMemory(tuple(each._replace(log_weights=weights) for each in memory.layers))

    def start(self, memory: TransformerMemory) -> KVCache:
        """The prompt is read, but for its last token."""
        keys, heads = memory.layers[0].keys, self.config.heads
        state = KVCache.empty(keys, len(keys), self.config.layers, heads, self.config.dim // heads)
        for token in self.prompt[:-1]:
            tokens = torch.full((len(keys),), token, device=keys.device)
            _, state = step_layers(self.layers, self._embed(tokens, state.length), state, memory)
        return state

    def step(self, tokens: Tensor, state: KVCache, memory: TransformerMemory) -> tuple[Tensor, KVCache]:
        tokens = tokens.masked_fill(tokens == EOS, self.prompt[-1])
        x, state = step_layers(self.layers, self._embed(tokens, state.length), state, memory)
        return self._logits(x), state

    def forward(self, tokens: Tensor, enc: Tensor, lens: Tensor) -> DecoderOutput:
        """Raises TextError for more tokens than there are positions."""
        if (count := tokens.shape[1] - 1) > self.max_tokens:
            raise TextError(
                f"a text of {count} tokens is too long for Whisper's decoder, which takes {self.max_tokens}; "
                "split the recording"
            )
        past = len(self.prompt) - 1
        prompt = tokens.new_tensor(self.prompt[:-1]).expand(len(tokens), -1)
        tokens = torch.cat((prompt, tokens.masked_fill(tokens == EOS, self.prompt[-1])), dim=1)
        positions = torch.arange(tokens.shape[1], device=tokens.device)
        x, weights = run_layers(self.layers, self._embed(tokens, positions), self.prepare(enc, lens))
        weights = tuple(each[:, :, past:] for each in weights)
        return DecoderOutput(self._logits(x[:, past:]), weights, self.config.alignment_heads)

    def _embed(self, tokens: Tensor, position: int | Tensor) -> Tensor:
        x: Tensor = self.dropout(self.embed(tokens) + self.positions[position])
        return x

    def _logits(self, x: Tensor) -> Tensor:
        logits = project(self.norm(x), self.embed.weight, None)
        return logits.index_fill(-1, torch.tensor((BLANK, UNKNOWN), device=x.device), NEVER)
