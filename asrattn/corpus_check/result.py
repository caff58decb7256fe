"""The result of a check: lines for a terminal, plain values for JSON."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from asrattn.corpus_check.finding import CheckedUtterance, Finding, FindingKind, Severity, is_train_split
from asrattn.text import clean

JSON_VERSION = 1  # of the json
MAX_SHOWN_FINDINGS = 3  # findings of a kind in the terminal


class SplitStats(NamedTuple):
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


def summarize_splits(cases: Sequence[CheckedUtterance]) -> list[SplitStats]:
    """One for each manifest, in their order."""
    known: set[str] = set()
    for case in cases:
        if is_train_split(case.split):
            known.update(case.utterance.text.split())
    names = dict.fromkeys(case.split for case in cases)
    return [_split(name, [case for case in cases if case.split == name], known) for name in names]


def _split(name: str, cases: Sequence[CheckedUtterance], known: set[str]) -> SplitStats:
    seconds = np.array([case.seconds for case in cases])
    words = Counter(word for case in cases for word in case.utterance.text.split())
    new = sum(n for word, n in words.items() if word not in known)
    speakers: Counter[str] = Counter()
    for case in cases:
        if case.utterance.speaker:
            speakers[case.utterance.speaker] += case.seconds  # type: ignore[assignment]
    return SplitStats(
        name,
        len(cases),
        float(seconds.sum()),
        float(np.median(seconds)),
        float(seconds.max()),
        words.total(),
        len({clean(case.utterance.text) for case in cases}),
        None if is_train_split(name) or not known else new / max(1, words.total()),
        dict(speakers.most_common()),
    )


@dataclass(frozen=True)
class CheckResult:
    """An examination. facts: of the training with a recipe, by name."""

    splits: Sequence[SplitStats]
    findings: Sequence[Finding]
    facts: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def by_severity(self) -> dict[Severity, dict[FindingKind, list[Finding]]]:
        """The findings by severity, the worst first, and by kind."""
        groups: dict[Severity, dict[FindingKind, list[Finding]]] = {severity: {} for severity in Severity}
        for finding in self.findings:
            groups[finding.kind.severity].setdefault(finding.kind, []).append(finding)
        return groups

    @property
    def breaks_training(self) -> bool:
        """Whether something would break training."""
        return bool(self.by_severity[Severity.BREAKS])

    def summary(self) -> str:
        """One line: how much of what severity."""
        counts = {severity: sum(map(len, kinds.values())) for severity, kinds in self.by_severity.items()}
        if not any(counts.values()):
            return "nothing found"
        return ", ".join(f"{severity}: {count}" for severity, count in counts.items() if count)

    def format_lines(self) -> Iterator[str]:
        """For a terminal: the splits, what a recipe makes of them, the findings, the summary."""
        yield from _align_columns(format_split_table(self.splits))
        if self.facts:
            yield ""
            yield from _align_columns([list(fact) for fact in self.facts.items()], left=2)
        for severity, kinds in self.by_severity.items():
            if kinds:
                yield f"\n{severity}"
            for kind, found in kinds.items():
                yield f"  {kind.name} ({len(found)}): {kind.remedy}"
                yield from (f"      {each.where}: {each.detail}" for each in found[:MAX_SHOWN_FINDINGS])
                if len(found) > MAX_SHOWN_FINDINGS:
                    yield f"      and {len(found) - MAX_SHOWN_FINDINGS} more"
        yield f"\n{self.summary()}"

    def to_plain(self) -> dict[str, Any]:
        """For json; the keys stay as they are within a version."""
        return {
            "version": JSON_VERSION,
            "splits": [{**split._asdict(), "speakers": dict(split.speakers)} for split in self.splits],
            "facts": dict(self.facts),
            "findings": [
                {
                    "kind": each.kind.name,
                    "severity": str(each.kind.severity),
                    "where": each.where,
                    "what": each.detail,
                    "remedy": each.kind.remedy,
                }
                for each in self.findings
            ],
        }


def format_split_table(splits: Sequence[SplitStats]) -> list[list[str]]:
    """Rows of text, the heading first."""
    heads = ["split", "utterances", "hours", "speakers", "median", "longest", "words", "new", "texts"]
    return [heads, *([split.name, *_cells(split)] for split in splits)]


def _cells(split: SplitStats) -> list[str]:
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


def _align_columns(rows: Sequence[Sequence[str]], left: int = 1) -> Iterator[str]:
    """Rows side by side, the first columns flush left, the others right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        padded = [text.ljust(width) for text, width in zip(row[:left], widths, strict=False)]
        padded += [text.rjust(width) for text, width in zip(row[left:], widths[left:], strict=True)]
        yield "   ".join(padded).rstrip()
