"""Slices of a set: results by speaker, length, speaking rate, or any field or tag of the manifest."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from asrattn.data.manifest import Utterance
from asrattn.errors import DataError
from asrattn.metrics.normalize import NORMALIZERS, Normalizer
from asrattn.metrics.result import ScoredUtterance, SetResult, summarize

MIN_RELIABLE_WORDS = 100  # rates over fewer words are unreliable
_NUM_BINS = 5  # of numeric fields, with equal numbers of utterances
UNITS = {"length": "words", "rate": "words/s", "seconds": "s", "snr": "dB"}
UNKNOWN_LABEL = "unknown"


@dataclass(frozen=True)
class Slice:
    """A slice of a set; `has_few_words`: its rates are unreliable."""

    label: str
    result: SetResult

    @property
    def has_few_words(self) -> bool:
        return self.result.words < MIN_RELIABLE_WORDS

    def line(self) -> str:
        return self.result.line() + ("   few words" if self.has_few_words else "")


def check_field(name: str, utterances: Sequence[Utterance], field: str) -> None:
    """Raises DataError if no utterance of a set has the field, so that there are no slices by it."""
    computed = {"length": True, "rate": any(u.seconds for u in utterances)}
    if not computed.get(field, any(_stored(u, field) is not None for u in utterances)):
        known = ["length", "rate", *(f.name for f in fields(Utterance) if f.name != "tags")]
        tags = sorted({tag for u in utterances for tag in u.tags})
        raise DataError(f"{name}: no utterance has {field!r}; there are {', '.join(known + tags)}")


def worst_slices(
    name: str,
    utterances: Sequence[Utterance],
    rows: Sequence[ScoredUtterance],
    field: str,
    normalizer: Normalizer = NORMALIZERS["none"],
) -> list[Slice]:
    """The slices of a set by a field, the worst first; see `ordered_slices`."""
    found = ordered_slices(name, utterances, rows, field, normalizer)
    return sorted(found, key=lambda s: (-s.result.wer, s.label))


def ordered_slices(
    name: str,
    utterances: Sequence[Utterance],
    rows: Sequence[ScoredUtterance],
    field: str,
    normalizer: Normalizer = NORMALIZERS["none"],
) -> list[Slice]:
    """The slices of a set by a field: numbers in ascending order, then names, then unknown.

    field   length (words of the reference), rate (words a second), a field of the manifest or one of its tags.
            Each name is a slice; so is each number if they are few, else numbers are binned into five equal parts.

    Raises DataError if no utterance has the field.
    """
    check_field(name, utterances, field)
    values = [_value(u, row, field) for u, row in zip(utterances, rows, strict=True)]
    labels = _labels(values, UNITS.get(field, ""))
    groups: dict[str, list[ScoredUtterance]] = {}
    for at in sorted(range(len(rows)), key=lambda at: _rank(values[at])):
        groups.setdefault(labels[at], []).append(rows[at])
    return [
        Slice(label, summarize(f"{name}/{label}", own, normalizer=normalizer))
        for label, own in groups.items()
    ]


def _rank(value: str | float | None) -> tuple[bool, bool, float, str]:
    """Numbers, then names, then nothing."""
    named = isinstance(value, str)
    return value is None, named, 0.0 if named or value is None else float(value), str(value)


def has_several_sets(utterances: Sequence[Utterance]) -> bool:
    """Whether a manifest holds several sets, named by the tag `set`."""
    return len({u.tags.get("set") for u in utterances}) > 1


def _value(utterance: Utterance, row: ScoredUtterance, field: str) -> str | float | None:
    if field in utterance.tags:
        return utterance.tags[field]
    if field == "length":
        return row.words.words
    if field == "rate":
        return row.words.words / utterance.seconds if utterance.seconds else None
    return _stored(utterance, field)


def _stored(utterance: Utterance, field: str) -> str | float | None:
    """A tag or a field; None where there is none, or an empty one."""
    names = [f.name for f in fields(Utterance) if f.name != "tags"]
    value: str | float | None = utterance.tags.get(
        field, getattr(utterance, field) if field in names else None
    )
    return None if value == "" else value


def _labels(values: Sequence[str | float | None], unit: str) -> list[str]:
    numbers = [v for v in values if isinstance(v, int | float)]
    if len(set(numbers)) <= _NUM_BINS:
        return [UNKNOWN_LABEL if v is None else _text(v, unit) for v in values]
    edges = np.unique(np.quantile(numbers, np.linspace(0, 1, _NUM_BINS + 1), method="inverted_cdf"))
    return [
        _range(v, edges.tolist(), unit) if isinstance(v, int | float) else UNKNOWN_LABEL if v is None else v
        for v in values
    ]


def _range(value: float, edges: Sequence[float], unit: str) -> str:
    """The bin of a number, upper end inclusive."""
    at = min(max(int(np.searchsorted(edges, value, "left")), 1), len(edges) - 1)
    return f"{_number(edges[at - 1])}–{_number(edges[at])} {unit}".rstrip()


def _text(value: str | float, unit: str) -> str:
    return value if isinstance(value, str) else f"{_number(value)} {unit}".rstrip()


def _number(value: float) -> str:
    return str(int(value)) if math.isclose(value, round(value)) else f"{value:.1f}"
