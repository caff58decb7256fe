"""What an examination is of, and what it says."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from asrattn.checking.looks import Heard, Look
from asrattn.manifest import Utterance


class Severity(StrEnum):
    """BREAKS: training stops, or drops the utterance. SUSPICIOUS: probably wrong. NOTE: good to know."""

    BREAKS = "breaks training"
    SUSPICIOUS = "suspicious"
    NOTE = "note"


class Kind(NamedTuple):
    """A fault a corpus can have, and what to do about it."""

    name: str
    severity: Severity
    remedy: str


@dataclass(frozen=True, eq=False)
class Case:
    """A line of a manifest under examination. split: the manifest's name; heard: None where nobody listened."""

    split: str
    line: int
    utterance: Utterance
    heard: Heard | None = None

    @property
    def name(self) -> str:
        return f"{self.split}:{self.utterance.id}"

    @property
    def look(self) -> Look | None:
        """None where the sound cannot be read too."""
        return self.heard if isinstance(self.heard, Look) else None

    @property
    def seconds(self) -> float:
        """As the sound has them, if that is known."""
        return self.look.seconds if self.look else self.utterance.seconds


@dataclass(frozen=True)
class Finding:
    """One fault.

    where   split:id of an utterance, split:line of a bad line, or splits
    what    the particulars
    leave   (split, line) of what a manifest without this fault would lack
    """

    kind: Kind
    where: str
    what: str
    leave: tuple[tuple[str, int], ...] = ()


def of(kind: Kind, case: Case, what: str) -> Finding:
    """A fault of one utterance, mended by leaving it out."""
    return Finding(kind, case.name, what, ((case.split, case.line),))


def trained_on(split: str) -> bool:
    """By its name."""
    return split.startswith("train")


def parted(cases: Iterable[Case]) -> tuple[list[Case], list[Case]]:
    """Those trained on, and the others; without a manifest called train… there is nothing trained on."""
    found = list(cases)
    return [c for c in found if trained_on(c.split)], [c for c in found if not trained_on(c.split)]


def some(names: Iterable[str], shown: int = 3) -> str:
    """The first of some names, and how many more there are."""
    listed = list(names)
    more = f" and {len(listed) - shown} more" if len(listed) > shown else ""
    return ", ".join(listed[:shown]) + more
