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
from asrattn.text import characters


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
        """Such as "english.2-3fa9c04e"; the same on every machine."""
        rules = json.dumps([self.name, self.version, self.rules], ensure_ascii=True, sort_keys=True)
        return f"{self.name}.{self.version}-{hashlib.sha256(rules.encode()).hexdigest()[:8]}"


def none(text: str) -> str:
    """The text unchanged."""
    return text


def lower(text: str) -> str:
    """Case folded, composed letters (NFC)."""
    return characters.fold_case(text)


def plain(text: str) -> str:
    """`lower`, and of the punctuation only that within words stays: "Don't – stop!" → "don't stop"."""
    return " ".join(characters.strip_punctuation(lower(text), "PS", hyphens=False).split())


def basic(text: str, language: str = "") -> str:
    """For any script: compatible forms are one (NFKC), case folded, letters, marks and digits alone, as in `plain`.

    Characters of scripts without spaces between words become words of their own, with their marks.
    Invisible characters (soft hyphens, joiners, direction marks) are removed, digits of all scripts are 0 to 9.
    """
    folded = characters.fold_case(_compatible(text), language)
    return " ".join("".join(map(_parted, plain(_compatible(folded)))).split())


def turkish(text: str) -> str:
    """`basic`, where I is the capital of ı and İ that of i: for Turkish and Azerbaijani."""
    return basic(text, "tr")


def spoken_english(text: str) -> str:
    """`basic` for English: numbers as words, contractions written out, British spelling as American, no fillers."""
    return english.normalize_words(basic(english.spell_out_symbols(text)))


def _compatible(text: str) -> str:
    """NFKC with its traps removed: 2½ is no 21/2 and 10² no 102; ´ is an apostrophe, no space with a mark."""
    if text.isascii():
        return text
    kept: list[str] = []
    for character in unicodedata.normalize("NFKC", _separate_numbers(text.replace("´", "'"))):
        kind = unicodedata.category(character)
        is_stray_mark = kind[0] == "M" and (not kept or kept[-1].isspace())
        if kind != "Cf" and character != characters.ARABIC_TATWEEL and not is_stray_mark:
            kept.append(str(unicodedata.decimal(character, character)))
    return "".join(kept)


def _separate_numbers(text: str) -> str:
    """A space between a digit and another sign of a number, such as ½ or ²."""
    kinds = [unicodedata.category(character) for character in text]
    pairs = zip(text, kinds, ["", *kinds], strict=False)
    return "".join(f" {c}" if {kind, before} == {"Nd", "No"} else c for c, kind, before in pairs)


def _parted(character: str) -> str:
    if not characters.is_spaceless(character) or unicodedata.category(character)[0] == "M":
        return character
    return f" {character}"


_WORD_CHARACTERS = [characters.APOSTROPHES, characters.MIDDLE_DOTS, characters.ARMENIAN_TONES]
_ALL = (
    Normalizer("none", 1, none),
    Normalizer("lower", 2, lower),
    Normalizer("plain", 2, plain, _WORD_CHARACTERS),
    Normalizer("basic", 2, basic, [_WORD_CHARACTERS, characters.SPACELESS]),
    Normalizer("turkish", 1, turkish, [_WORD_CHARACTERS, characters.SPACELESS]),
    Normalizer("english", 2, spoken_english, [_WORD_CHARACTERS, characters.SPACELESS, english.RULES]),
)
NORMALIZERS: Mapping[str, Normalizer] = MappingProxyType({n.name: n for n in _ALL})
