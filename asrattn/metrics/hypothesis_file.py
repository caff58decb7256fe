"""Hypothesis files: JSON lines, {"id": …, "text": …, "score": …}, one utterance per line."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asrattn import files
from asrattn.data import manifest
from asrattn.errors import ManifestError


@dataclass(frozen=True)
class HypothesisLine:
    """The hypothesis of one utterance.

    score        the decoding score, or None
    normalizer   fingerprint of the normaliser the text went through, "" for none
    confidence   of each word, in [0, 1]; a single one is that of all words; empty if not known
    """

    id: str
    text: str
    score: float | None = None
    normalizer: str = ""
    confidence: tuple[float, ...] = ()


def read(path: Path) -> list[HypothesisLine]:
    """All hypotheses of a file. Other fields on a line (such as word times) are ignored.

    Raises ManifestError with the line for invalid JSON, a missing id or text, a wrong type, a duplicate id.
    """
    found = []
    seen: dict[str, int] = {}
    for number, plain in manifest.read_json_lines(
        path, "file of hypotheses", "hypothesis", "make it with asrattn evaluate --out"
    ):
        line = _hypothesis(plain, f"{path}:{number}")
        if line.id in seen:
            raise ManifestError(
                f"{path}:{number}: id {line.id!r} stands already on line {seen[line.id]}; ids must differ"
            )
        seen[line.id] = number
        found.append(line)
    return found


def write(path: Path, lines: Iterable[HypothesisLine]) -> None:
    """Write hypotheses atomically."""
    with files.atomic_write(path) as draft, draft.open("w", encoding="utf-8") as out:
        for line in lines:
            plain: dict[str, Any] = {"id": line.id, "text": line.text}
            if line.score is not None:
                plain["score"] = line.score
            if line.confidence:
                plain["confidence"] = list(line.confidence)
            if line.normalizer:
                plain["normalizer"] = line.normalizer
            out.write(json.dumps(plain, ensure_ascii=False) + "\n")


def _hypothesis(plain: dict[str, Any], where: str) -> HypothesisLine:
    for name in ("id", "text"):
        if name not in plain:
            raise ManifestError(f"{where}: lacks the field {name!r}")
        if not isinstance(plain[name], str):
            raise ManifestError(f"{where}: {name} is {plain[name]!r}, of the wrong type")
    score = plain.get("score")
    if score is not None and (isinstance(score, bool) or not isinstance(score, int | float)):
        raise ManifestError(f"{where}: score is {score!r}, of the wrong type")
    normalizer = plain.get("normalizer", "")
    if not isinstance(normalizer, str):
        raise ManifestError(f"{where}: normalizer is {normalizer!r}, of the wrong type")
    return HypothesisLine(plain["id"], plain["text"], score, normalizer, _confidence(plain, where))


def _confidence(plain: dict[str, Any], where: str) -> tuple[float, ...]:
    value = plain.get("confidence")
    if value is None:
        return ()
    values = value if isinstance(value, list) else [value]
    if any(isinstance(v, bool) or not isinstance(v, int | float) or not 0 <= v <= 1 for v in values):
        raise ManifestError(
            f"{where}: confidence is {value!r}; give a number from 0 to 1, or one for each word"
        )
    if len(values) not in (1, len(plain["text"].split())):
        raise ManifestError(
            f"{where}: {len(values)} confidences for {len(plain['text'].split())} words; give one for each word"
        )
    return tuple(float(v) for v in values)
