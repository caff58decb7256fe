"""Tokenizer protocol, reserved ids, text cleaning."""

import unicodedata
from collections.abc import Iterable, Sequence
from typing import Protocol

from asrattn.config import JSONValue
from asrattn.errors import TextError
from asrattn.text.characters import is_spaceless

BLANK = 0  # of the CTC head, and the padding
EOS = 1  # ends a text; also the start symbol
UNKNOWN = 2
RESERVED = 3  # ids of real tokens begin here
UNKNOWN_SIGN = "⁇"


class Tokenizer(Protocol):
    """Text ⇄ token ids: decode(encode(text)) is clean(text), its NFC with whitespace collapsed."""

    @property
    def size(self) -> int:
        """V, the reserved ids included."""

    @property
    def tokens(self) -> list[str]:
        """What the ids RESERVED … V-1 write, a space where a word begins; no two are the same."""

    @property
    def token_bytes(self) -> list[bytes]:
        """The UTF-8 that the ids RESERVED … V-1 write, maybe parts of characters; b"" for tokens that are no text."""

    def encode(self, text: str) -> list[int]:
        """(U,) ids of `clean(text)`. Raises TextError naming the unknown characters and the text."""

    def encode_lossy(self, text: str) -> list[int]:
        """(U,) ids; UNKNOWN where characters are unknown."""

    def decode(self, tokens: Sequence[int]) -> str:
        """The text; BLANK and EOS are left out, UNKNOWN is ⁇. Raises TextError for an id outside of 0 … V-1."""

    def to_plain(self) -> dict[str, JSONValue]:
        """What JSON can hold; `text.from_plain` is the inverse."""


def clean(text: str) -> str:
    """NFC, so that é is one character however it was typed; every run of whitespace becomes one space."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def join_texts(first: str, second: str) -> str:
    """Two texts one after the other, with a space between them unless both are of a script without spaces."""
    a, b = clean(first), clean(second)
    spaceless = a and b and is_spaceless(a[-1]) and is_spaceless(b[0]) and " " not in a + b
    return f"{a}{b}" if spaceless else f"{a} {b}"


def clean_texts(texts: Iterable[str]) -> list[str]:
    """The clean texts to train on, empty ones left out. Raises TextError for none, and for control characters."""
    found = [text for text in map(clean, texts) if text]
    if not found:
        raise TextError("there is no text to train a tokenizer on; check the transcripts of the training set")
    for text in found:
        if odd := {c for c in text if unicodedata.category(c) in ("Cc", "Cs")}:
            raise TextError(f"control characters {describe_characters(odd)} in {quote(text)}; remove them")
    return found


def unknown_characters_error(characters: Iterable[str], text: str) -> TextError:
    return TextError(
        f"unknown characters {describe_characters(characters)} in {quote(text)}; "
        "remove them, or train the tokenizer on texts that have them"
    )


def check_token_ids(tokens: Sequence[int], size: int) -> None:
    for token in tokens:
        if not 0 <= token < size:
            raise TextError(
                f"token {token} does not exist; ids go from 0 to {size - 1}, is it another tokenizer's?"
            )


def describe_characters(characters: Iterable[str]) -> str:
    """Characters as a reader can see and look them up: 'ß' (U+00DF)."""
    return ", ".join(f"{c!r} (U+{ord(c):04X})" for c in sorted(set(characters)))


def quote(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:79] + "…")
