"""Decoders: encoder output and previous tokens -> next token. One file for each kind, one interface for all.

The configuration is here and loads no torch; `interface` has the protocol and `build`.
"""

from asrattn.decoders.config import (
    DecoderConfig,
    RecurrentDecoderConfig,
    TransformerDecoderConfig,
    WhisperDecoderConfig,
)

__all__ = [
    "DecoderConfig",
    "RecurrentDecoderConfig",
    "TransformerDecoderConfig",
    "WhisperDecoderConfig",
]
