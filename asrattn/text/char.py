"""Character tokenizer."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from asrattn.config import JSONValue
from asrattn.text.tokenizer import (
    BLANK,
    EOS,
    RESERVED,
    UNKNOWN,
    UNKNOWN_SIGN,
    check_token_ids,
    clean,
    clean_texts,
    unknown_characters_error,
)


@dataclass(frozen=True)
class CharTokenizer:
    """Any script: a token is one code point of the NFC text, the space among them.

    Code points and not grapheme clusters: the vocabulary stays small, and a letter and a mark that never met
    in training can still be written together. Characters have the ids 3, 4, … in the order of `characters`.
    """

    characters: str

    @classmethod
    def train(cls, texts: Iterable[str]) -> "CharTokenizer":
        """All characters of the texts. Raises TextError where there is no text."""
        return cls("".join(sorted(set().union(*clean_texts(texts)))))

    @property
    def size(self) -> int:
        return RESERVED + len(self.characters)

    @property
    def tokens(self) -> list[str]:
        return list(self.characters)

    @property
    def token_bytes(self) -> list[bytes]:
        return [token.encode() for token in self.tokens]

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {c: i for i, c in enumerate(self.characters, RESERVED)}

    def encode(self, text: str) -> list[int]:
        text = clean(text)
        if strange := set(text) - self._ids.keys():
            raise unknown_characters_error(strange, text)
        return [self._ids[c] for c in text]

    def encode_lossy(self, text: str) -> list[int]:
        return [self._ids.get(c, UNKNOWN) for c in clean(text)]

    def decode(self, tokens: Sequence[int]) -> str:
        check_token_ids(tokens, self.size)
        return "".join(
            UNKNOWN_SIGN if t == UNKNOWN else self.characters[t - RESERVED]
            for t in tokens
            if t not in (BLANK, EOS)
        )

    def to_plain(self) -> dict[str, JSONValue]:
        return {"kind": "char", "characters": self.characters}
