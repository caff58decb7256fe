"""What was found, as lines for a terminal and as plain values for json."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from asrattn.checking.finding import Case, Finding, Kind, Severity, trained_on
from asrattn.text import clean

VERSION = 1  # of the json
SHOWN = 3  # findings of a kind in the terminal


class Split(NamedTuple):
    """A manifest in numbers. speakers: seconds of each, by name; new_words: share that train does not have."""

    name: str
    utterances: int
    seconds: float
    median: float
    longest: float
    words: int
    texts: int
    new_words: float | None
    speakers: Mapping[str, float]


def summarize(cases: Sequence[Case]) -> list[Split]:
    """One for each manifest, in their order."""
    known: set[str] = set()
    for case in cases:
        if trained_on(case.split):
            known.update(case.utterance.text.split())
    names = dict.fromkeys(case.split for case in cases)
    return [_split(name, [case for case in cases if case.split == name], known) for name in names]


def _split(name: str, cases: Sequence[Case], known: set[str]) -> Split:
    seconds = np.array([case.seconds for case in cases])
    words = Counter(word for case in cases for word in case.utterance.text.split())
    new = sum(n for word, n in words.items() if word not in known)
    speakers: Counter[str] = Counter()
    for case in cases:
        if case.utterance.speaker:
            speakers[case.utterance.speaker] += case.seconds  # type: ignore[assignment]
    return Split(
        name,
        len(cases),
        float(seconds.sum()),
        float(np.median(seconds)),
        float(seconds.max()),
        words.total(),
        len({clean(case.utterance.text) for case in cases}),
        None if trained_on(name) or not known else new / max(1, words.total()),
        dict(speakers.most_common()),
    )


@dataclass(frozen=True)
class Result:
    """An examination. facts: of the training with a recipe, by name."""

    splits: Sequence[Split]
    findings: Sequence[Finding]
    facts: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def groups(self) -> dict[Severity, dict[Kind, list[Finding]]]:
        """The findings by severity, the worst first, and by kind."""
        groups: dict[Severity, dict[Kind, list[Finding]]] = {severity: {} for severity in Severity}
        for finding in self.findings:
            groups[finding.kind.severity].setdefault(finding.kind, []).append(finding)
        return groups

    @property
    def breaks(self) -> bool:
        """Whether something would break training."""
        return bool(self.groups[Severity.BREAKS])

    def summary(self) -> str:
        """One line: how much of what severity."""
        counts = {severity: sum(map(len, kinds.values())) for severity, kinds in self.groups.items()}
        if not any(counts.values()):
            return "nothing found"
        return ", ".join(f"{severity}: {count}" for severity, count in counts.items() if count)

    def lines(self) -> Iterator[str]:
        """For a terminal: the splits, what a recipe makes of them, the findings, the summary."""
        yield from _columns(table(self.splits))
        if self.facts:
            yield ""
            yield from _columns([list(fact) for fact in self.facts.items()], left=2)
        for severity, kinds in self.groups.items():
            if kinds:
                yield f"\n{severity}"
            for kind, found in kinds.items():
                yield f"  {kind.name} ({len(found)}): {kind.remedy}"
                yield from (f"      {each.where}: {each.what}" for each in found[:SHOWN])
                if len(found) > SHOWN:
                    yield f"      and {len(found) - SHOWN} more"
        yield f"\n{self.summary()}"

    def plain(self) -> dict[str, Any]:
        """For json; the keys stay as they are within a version."""
        return {
            "version": VERSION,
            "splits": [{**split._asdict(), "speakers": dict(split.speakers)} for split in self.splits],
            "facts": dict(self.facts),
            "findings": [
                {
                    "kind": each.kind.name,
                    "severity": str(each.kind.severity),
                    "where": each.where,
                    "what": each.what,
                    "remedy": each.kind.remedy,
                }
                for each in self.findings
            ],
        }


def table(splits: Sequence[Split]) -> list[list[str]]:
    """Rows of text, the heading first."""
    heads = ["split", "utterances", "hours", "speakers", "median", "longest", "words", "new", "texts"]
    return [heads, *([split.name, *_cells(split)] for split in splits)]


def _cells(split: Split) -> list[str]:
    return [
        f"{split.utterances:,}",
        f"{split.seconds / 3600:.2f}",
        f"{len(split.speakers):,}" if split.speakers else "–",
        f"{split.median:.1f} s",
        f"{split.longest:.1f} s",
        f"{split.words:,}",
        "–" if split.new_words is None else f"{100 * split.new_words:.1f} %",
        f"{split.texts:,}",
    ]


def _columns(rows: Sequence[Sequence[str]], left: int = 1) -> Iterator[str]:
    """Rows side by side, the first columns flush left, the others right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        padded = [text.ljust(width) for text, width in zip(row[:left], widths, strict=False)]
        padded += [text.rjust(width) for text, width in zip(row[left:], widths[left:], strict=True)]
        yield "   ".join(padded).rstrip()
