"""The file of hotwords: phrases and their weights. Needs no torch."""

import math
from dataclasses import dataclass
from pathlib import Path

from asrattn.errors import LMError
from asrattn.lm.files import read_sentences
from asrattn.text import clean


@dataclass(frozen=True)
class Hotwords:
    """Phrases with their weights: the bonus of each of their tokens, in nats before the search's own weight."""

    phrases: tuple[tuple[str, float], ...]

    @classmethod
    def read(cls, path: Path) -> "Hotwords":
        """One phrase a line; behind a tab its weight, if it is not 1. Raises LMError for any other line."""
        found: dict[str, float] = {}
        for number, line in enumerate(read_sentences(path), 1):
            phrase, _, weight = line.partition("\t")
            phrase = clean(phrase)
            if not phrase and not weight.strip():
                continue
            if phrase in found:
                raise LMError(f"{path}:{number}: {phrase!r} has been there before; name it once")
            if not phrase:
                raise LMError(
                    f"{path}:{number}: has a weight and no phrase; write PHRASE, or PHRASE tab WEIGHT"
                )
            found[phrase] = _weight(weight.strip() or "1", f"{path}:{number}")
        if not found:
            raise LMError(f"{path}: holds no phrase; write one a line")
        return cls(tuple(found.items()))


def _weight(text: str, where: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = math.nan
    if not 0 < weight < math.inf:
        raise LMError(
            f"{where}: the weight {text!r} is no number above 0; write PHRASE, or PHRASE tab WEIGHT"
        )
    return weight
