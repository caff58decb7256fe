"""Tokenizers: text <-> token ids, by character, by byte-pair encoding, or Whisper's."""

import base64
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from asrattn.config import check
from asrattn.errors import CheckpointError
from asrattn.text.bpe import BpeTokenizer
from asrattn.text.char import CharTokenizer
from asrattn.text.spelling import BYTE_VOCABULARY, Spelling
from asrattn.text.tokenizer import BLANK, EOS, RESERVED, UNKNOWN, Tokenizer, clean, join_texts
from asrattn.text.whisper import WhisperTokenizer

__all__ = [
    "BLANK",
    "BYTE_VOCABULARY",
    "EOS",
    "RESERVED",
    "UNKNOWN",
    "BpeConfig",
    "BpeTokenizer",
    "CharConfig",
    "CharTokenizer",
    "Spelling",
    "Tokenizer",
    "TokenizerConfig",
    "WhisperTokenizer",
    "clean",
    "from_plain",
    "join_texts",
    "train",
]


@dataclass(frozen=True)
class CharConfig:
    """One token for each character."""

    kind: Literal["char"] = "char"


@dataclass(frozen=True)
class BpeConfig:
    """Byte-pair encoding; size is V, the reserved ids included."""

    kind: Literal["bpe"] = "bpe"
    size: int = 500

    def __post_init__(self) -> None:
        check(self.size > RESERVED, f"size: {self.size} is too small; {RESERVED} ids are reserved")


TokenizerConfig = CharConfig | BpeConfig


def train(config: TokenizerConfig, texts: Iterable[str]) -> Tokenizer:
    """A tokenizer that knows every character of the texts; the order of the texts does not matter for characters.

    Raises TextError for no text, control characters, or a size that does not suit the texts.
    """
    match config:
        case CharConfig():
            return CharTokenizer.train(texts)
        case BpeConfig(size=size):
            return BpeTokenizer.train(texts, size)


def from_plain(plain: object) -> Tokenizer:
    """The inverse of `to_plain`. Raises CheckpointError for anything else."""
    match plain:
        case {"kind": "char", "characters": str(characters), **rest} if not rest:
            return _char(characters)
        case {"kind": "bpe", "model": str(model), **rest} if not rest:
            return _bpe(model)
        case {"kind": "whisper", "json": str(json), "count": int(count), **rest} if not rest:
            return WhisperTokenizer.load(json, count)
    raise CheckpointError(f"the tokenizer is damaged: {_describe(plain)}; make the model file again")


def _char(characters: str) -> CharTokenizer:
    if len(set(characters)) < len(characters) or not characters:
        raise CheckpointError(
            "the tokenizer is damaged: its characters repeat or are none; make the model file again"
        )
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in characters):
        raise CheckpointError(
            "the tokenizer is damaged: it writes control characters; make the model file again"
        )
    return CharTokenizer(characters)


def _bpe(model: str) -> BpeTokenizer:
    try:
        return BpeTokenizer.load(base64.b64decode(model, validate=True))
    except ValueError:
        raise CheckpointError(
            "the tokenizer is damaged: its model is no base64; make the model file again"
        ) from None


def _describe(plain: object) -> str:
    if not isinstance(plain, dict):
        return f"it is a {type(plain).__name__} and no set of fields"
    fields = ", ".join(f"{k}: {v!r:.20}" for k, v in plain.items())
    return f"it has the fields {{{fields:.200}}}"
