"""Findings: their kind, severity, place and remedy."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from asrattn.corpus_check.audio_stats import AudioStats, StatsOrError
from asrattn.data.manifest import Utterance


class Severity(StrEnum):
    """BREAKS: training stops, or drops the utterance. SUSPICIOUS: probably wrong. NOTE: good to know."""

    BREAKS = "breaks training"
    SUSPICIOUS = "suspicious"
    NOTE = "note"


class FindingKind(NamedTuple):
    """A fault a corpus can have, and what to do about it."""

    name: str
    severity: Severity
    remedy: str


@dataclass(frozen=True, eq=False)
class CheckedUtterance:
    """A manifest line to check. split: the manifest's name; audio_result: None if the audio was not read."""

    split: str
    line: int
    utterance: Utterance
    audio_result: StatsOrError | None = None

    @property
    def name(self) -> str:
        return f"{self.split}:{self.utterance.id}"

    @property
    def stats(self) -> AudioStats | None:
        """None also if the audio cannot be read."""
        return self.audio_result if isinstance(self.audio_result, AudioStats) else None

    @property
    def seconds(self) -> float:
        """Of the audio, if that is known."""
        return self.stats.seconds if self.stats else self.utterance.seconds


@dataclass(frozen=True)
class Finding:
    """One fault.

    where   split:id of an utterance, split:line of a bad line, or splits
    detail  the particulars
    lines_to_drop  (split, line) of what a manifest without this fault would lack
    """

    kind: FindingKind
    where: str
    detail: str
    lines_to_drop: tuple[tuple[str, int], ...] = ()


def make_finding(kind: FindingKind, case: CheckedUtterance, detail: str) -> Finding:
    """A fault of one utterance, fixed by dropping it."""
    return Finding(kind, case.name, detail, ((case.split, case.line),))


def is_train_split(split: str) -> bool:
    """By its name."""
    return split.startswith("train")


def partition_train(
    cases: Iterable[CheckedUtterance],
) -> tuple[list[CheckedUtterance], list[CheckedUtterance]]:
    """Those trained on, and the others; without a manifest called train… there is nothing trained on."""
    found = list(cases)
    return [c for c in found if is_train_split(c.split)], [c for c in found if not is_train_split(c.split)]


def format_names(names: Iterable[str], max_names: int = 3) -> str:
    """The first of some names, and how many more there are."""
    listed = list(names)
    more = f" and {len(listed) - max_names} more" if len(listed) > max_names else ""
    return ", ".join(listed[:max_names]) + more
