"""Named ways to forgive spelling before scoring. A normalised rate always stands beside the raw one."""

import unicodedata
from collections.abc import Callable, Mapping
from types import MappingProxyType

_APOSTROPHES = "'’ʼ"


def none(text: str) -> str:
    """The text as it stands."""
    return text


def lower(text: str) -> str:
    """Case folded, composed letters (NFC)."""
    return unicodedata.normalize("NFC", text).casefold()


def plain(text: str) -> str:
    """`lower`, and of the punctuation only apostrophes inside words stay: "Don't – stop!" → "don't stop"."""
    folded = lower(text)
    kept = (_plain_at(folded, i) for i in range(len(folded)))
    return " ".join("".join(kept).split())


def _plain_at(text: str, i: int) -> str:
    if text[i] in _APOSTROPHES:
        return "'" if text[i - 1 : i].isalnum() and text[i + 1 : i + 2].isalnum() else " "
    return " " if unicodedata.category(text[i])[0] in "PS" else text[i]


NORMALIZERS: Mapping[str, Callable[[str], str]] = MappingProxyType(
    {"none": none, "lower": lower, "plain": plain}
)
