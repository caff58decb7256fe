"""The interface of every decoder, and `build`.

Adding one: write its config and name it in `DecoderConfig`, both in `config.py`; write its module in a file of its own;
add a case to `build`.
"""

from typing import Any, Protocol, TypeVar

from torch import Tensor

from asrattn.decoders.config import (
    DecoderConfig,
    RecurrentDecoderConfig,
    TransformerDecoderConfig,
    WhisperDecoderConfig,
)
from asrattn.decoders.output import DecoderOutput
from asrattn.decoders.recurrent import RecurrentDecoder
from asrattn.decoders.transformer import TransformerDecoder
from asrattn.decoders.whisper import WhisperDecoder

M = TypeVar("M")
S = TypeVar("S")


class Decoder(Protocol[M, S]):
    """Memory belongs to an utterance, state to a hypothesis; both are tuples of tensors, B or N first.

    N = B·K: the K hypotheses of one utterance stand beside each other. The first token is EOS.
    """

    @property
    def max_tokens(self) -> int | None:
        """The most tokens of a hypothesis, EOS not counted; None without a bound."""
        ...

    def prepare(self, enc: Tensor, lens: Tensor) -> M:
        """enc (B, T, D), lens (B,) -> memory."""
        ...

    def start(self, memory: M) -> S:
        """The state before the first token, one hypothesis for each utterance."""
        ...

    def step(self, tokens: Tensor, state: S, memory: M) -> tuple[Tensor, S]:
        """tokens (N,), state, memory -> logits of the next token (N, V), state."""
        ...

    def __call__(self, tokens: Tensor, enc: Tensor, lens: Tensor) -> DecoderOutput:
        """The teacher-forced pass: tokens (B, U), EOS first -> logits (B, U, V), weights (B, U, T)."""
        ...


def build(config: DecoderConfig, values: int, vocabulary: int) -> Decoder[Any, Any]:
    """The decoder of a configuration, over enc (B, T, values)."""
    match config:
        case RecurrentDecoderConfig():
            return RecurrentDecoder(config, values, vocabulary)
        case TransformerDecoderConfig():
            return TransformerDecoder(config, values, vocabulary)
        case WhisperDecoderConfig():
            return WhisperDecoder(config, values, vocabulary)
