"""Spelling: the CTC labels of decoder tokens, which are the tokens themselves, or the UTF-8 bytes of what they write.

A CTC head over the tens of thousands of tokens of a pretrained decoder would be large and slow; one over bytes has
BYTE_VOCABULARY outputs: the reserved ids, and byte b with the id RESERVED + b.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Self

from asrattn.text.tokenizer import BLANK, EOS, RESERVED, UNKNOWN, UNKNOWN_SIGN, Tokenizer, clean

BYTE_VOCABULARY = RESERVED + 256  # labels of a CTC head over bytes
APOSTROPHES = {"'", "’"}


@dataclass(frozen=True)
class Spelling:
    """The labels of each token id; None: every token is its own label, the identity."""

    rows: tuple[tuple[int, ...], ...] | None = field(default=None, repr=False)

    @classmethod
    def in_bytes(cls, tokenizer: Tokenizer) -> Self:
        """The UTF-8 bytes of every token's lower-cased text without punctuation, see `token_labels`.

        UNKNOWN is a label of its own; BLANK and EOS have none.
        """
        reserved: dict[int, tuple[int, ...]] = {BLANK: (), EOS: (), UNKNOWN: (UNKNOWN,)}
        return cls((*(reserved[i] for i in range(RESERVED)), *map(token_labels, tokenizer.token_bytes)))

    def labels_of(self, token: int) -> tuple[int, ...]:
        """The labels of a token; () for one that is not spoken, such as punctuation."""
        return (token,) if self.rows is None else self.rows[token]

    def spell(self, tokens: Sequence[int]) -> tuple[list[int], list[int]]:
        """The labels of a text, and for each of them the index of the token it belongs to."""
        if self.rows is None:
            return list(tokens), list(range(len(tokens)))
        pairs = [(label, i) for i, token in enumerate(tokens) for label in self.rows[token]]
        return [label for label, _ in pairs], [i for _, i in pairs]

    def decode(self, labels: Iterable[int], tokenizer: Tokenizer) -> str:
        """The text of labels, as the greedy search of a CTC head gives them; � for invalid UTF-8."""
        if self.rows is None:
            return tokenizer.decode(list(labels))
        sign = UNKNOWN_SIGN.encode()
        parts = (sign if label == UNKNOWN else bytes([label - RESERVED]) for label in labels if label > EOS)
        return clean(b"".join(parts).decode(errors="replace"))

    def reference(self, text: str) -> str:
        """What `decode` gives at best for an utterance with this text: of bytes, lower-cased without punctuation."""
        return text if self.rows is None else clean(" ".join(map(normalize_spoken, text.split())))


def token_labels(written: bytes) -> tuple[int, ...]:
    """The byte labels of a token that writes these bytes.

    Invalid UTF-8, which is a part of a character that several tokens write, stays as it is.
    """
    try:
        spoken = normalize_spoken(written.decode()).encode()
    except UnicodeDecodeError:
        spoken = written
    return tuple(RESERVED + byte for byte in spoken)


def normalize_spoken(text: str) -> str:
    """Lower-case, without punctuation, symbols and control characters; apostrophes are `'`.

    A run of whitespace is one space. Where nothing but spaces is left of punctuation, these go too.
    """
    kept = "".join(map(_normalize_character, text.lower()))
    spoken = re.sub(" +", " ", kept)
    return "" if spoken == " " and text.strip() else spoken


def _normalize_character(character: str) -> str:
    if character in APOSTROPHES:
        return "'"
    category = unicodedata.category(character)
    if category == "Zs":
        return " "
    return "" if category[0] in "PS" or category in ("Cc", "Cf") else character
