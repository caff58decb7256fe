"""Text normalisation before scoring: named, versioned normalisers. Each result names the one that was used.

A fingerprint is the name, the version and a hash of the rules: two rates are comparable if it is the same.
"""

import hashlib
import json
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from asrattn.metrics import english

_APOSTROPHES = "'’ʼ＇"
# Scripts without spaces, whose characters count as words: Han, kana, bopomofo, Thai, Lao, Khmer, Myanmar.
_CHARACTERS = (
    (0x0E00, 0x0EFF),
    (0x1000, 0x109F),
    (0x1780, 0x17FF),
    (0x3005, 0x3007),
    (0x3040, 0x312F),
    (0x31A0, 0x31BF),
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)


@dataclass(frozen=True)
class Normalizer:
    """A function of texts with a name. `version` grows with every change of its results.

    rules    the tables it uses, as plain values: they are part of the hash
    """

    name: str
    version: int
    apply: Callable[[str], str]
    rules: object = None

    def __call__(self, text: str) -> str:
        return self.apply(text)

    @property
    def fingerprint(self) -> str:
        """Such as "english.1-3fa9c04e"; the same on every machine."""
        rules = json.dumps([self.name, self.version, self.rules], ensure_ascii=True, sort_keys=True)
        return f"{self.name}.{self.version}-{hashlib.sha256(rules.encode()).hexdigest()[:8]}"


def none(text: str) -> str:
    """The text unchanged."""
    return text


def lower(text: str) -> str:
    """Case folded, composed letters (NFC)."""
    return unicodedata.normalize("NFC", text).casefold()


def plain(text: str) -> str:
    """`lower`, and of the punctuation only apostrophes inside words stay: "Don't – stop!" → "don't stop"."""
    folded = lower(text)
    kept = (_plain_at(folded, i) for i in range(len(folded)))
    return " ".join("".join(kept).split())


def basic(text: str) -> str:
    """For any script: compatible forms are one (NFKC), case folded, letters, marks and digits alone, as in `plain`.

    Characters of scripts without spaces between words become words of their own, with their marks.
    Invisible characters (soft hyphens, joiners, direction marks) are removed.
    """
    visible = "".join(c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) != "Cf")
    return " ".join("".join(map(_parted, plain(unicodedata.normalize("NFKC", visible.casefold())))).split())


def spoken_english(text: str) -> str:
    """`basic` for English: numbers as words, contractions written out, British spelling as American, no fillers."""
    return english.normalize_words(basic(english.spell_out_symbols(unicodedata.normalize("NFKC", text))))


def _plain_at(text: str, i: int) -> str:
    if text[i] in _APOSTROPHES:
        return "'" if text[i - 1 : i].isalnum() and text[i + 1 : i + 2].isalnum() else " "
    return " " if unicodedata.category(text[i])[0] in "PS" else text[i]


def _parted(character: str) -> str:
    point = ord(character)
    if point < _CHARACTERS[0][0] or not any(first <= point <= last for first, last in _CHARACTERS):
        return character
    return character if unicodedata.category(character)[0] == "M" else f" {character}"


_ALL = (
    Normalizer("none", 1, none),
    Normalizer("lower", 1, lower),
    Normalizer("plain", 1, plain, _APOSTROPHES),
    Normalizer("basic", 1, basic, [_APOSTROPHES, _CHARACTERS]),
    Normalizer("english", 1, spoken_english, [_APOSTROPHES, _CHARACTERS, english.RULES]),
)
NORMALIZERS: Mapping[str, Normalizer] = MappingProxyType({n.name: n for n in _ALL})
