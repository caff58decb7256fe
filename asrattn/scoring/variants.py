"""Systems side by side on one page: what each costs and hears, whether it differs from the first, where it looks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from asrattn import files
from asrattn.scoring.compare import System, Verdict, against
from asrattn.scoring.counts import ErrorCounts, total
from asrattn.scoring.interval import Interval, interval
from asrattn.scoring.pictures import as_url
from asrattn.scoring.report import document
from asrattn.scoring.report.document import Column, bar, page


@dataclass(frozen=True)
class Entry:
    """A system, what else is known of it (a text for each column, the same ones for all), a PNG of its attention."""

    system: System
    facts: Mapping[str, str] = field(default_factory=dict)
    picture: bytes | None = None


@dataclass(frozen=True)
class Line:
    """An entry with its error rate over all of its runs, and its verdict against the first; None for the first."""

    entry: Entry
    counts: ErrorCounts
    ends: Interval
    verdict: Verdict | None

    def cells(self) -> list[str]:
        """As text: name, WER with interval, difference with interval, verdict, facts."""
        return [
            self.entry.system.name,
            _rate(self.counts, self.ends),
            *self._against(),
            *self.entry.facts.values(),
        ]

    @property
    def differs(self) -> bool:
        return self.verdict is not None and self.verdict.different

    def _against(self) -> list[str]:
        if self.verdict is None:
            return ["", ""]
        low, high = (100 * end for end in self.verdict.paired.interval)
        difference = f"{100 * self.verdict.paired.difference:+.1f} [{low:+.1f}, {high:+.1f}]"
        return [difference, self.verdict.word]


COLUMNS = ("variant", "WER % [95 %]", "against the first", "paired tests")


def lines(entries: Sequence[Entry]) -> list[Line]:
    """Each entry with what the tests say of it against the first. Raises DataError as `against` does."""
    first, *others = (entry.system for entry in entries)
    verdicts = [None, *against(first, others)]
    found = []
    for entry, verdict in zip(entries, verdicts, strict=True):
        found.append(Line(entry, *_pooled(entry.system), verdict))
    return found


def rate(system: System) -> str:
    """Its WER over all of its runs, with interval, as text."""
    return _rate(*_pooled(system))


def _pooled(system: System) -> tuple[ErrorCounts, Interval]:
    counts = [total(row.words for row in rows) for rows in zip(*system.runs, strict=True)]
    return total(counts), interval(counts, [row.speaker for row in system.runs[0]])


def _rate(counts: ErrorCounts, ends: Interval) -> str:
    low, high = (100 * end for end in ends)
    return f"{100 * counts.rate:.1f} [{low:.1f}, {high:.1f}]"


def table(found: Sequence[Line]) -> list[list[str]]:
    """Rows of text, the heading first."""
    return [[*COLUMNS, *found[0].entry.facts], *(line.cells() for line in found)]


def write_page(path: Path, title: str, about: str, found: Sequence[Line]) -> None:
    """Write the page whole or not at all: the table, then every picture."""
    files.write_text(
        path, page(title, [f'<p class="soft">{escape(about)}</p>', _table(found), _pictures(found)])
    )


def _table(found: Sequence[Line]) -> str:
    top = max(max(line.ends[1], line.counts.rate) for line in found) or 1.0
    name, wer, *others = table(found)[0]
    wer = wer.replace(" ", "\u00a0")
    columns = [Column(name), Column(wer, "num"), Column("", "bar"), *(Column(head, "num") for head in others)]
    rows = []
    for line in found:
        _, wer_, difference, word, *cells = map(escape, line.cells())
        shown = bar(line.counts.rate, line.ends, top)
        told = word if line.differs else ""
        rows.append([_name(line), _value(wer_), shown, _value(difference), told, *map(_value, cells)])
    return document.table(columns, rows, wide=True)


def _name(line: Line) -> str:
    """It may be long; a line may end behind each change."""
    return escape(line.entry.system.name).replace("+", "+<wbr>")


def _value(text: str) -> str:
    """A value and its interval, which stay whole each where a line ends."""
    value, _, ends = text.partition(" [")
    return f'<b>{value}</b> <span class="soft">[{ends}</span>' if ends else text


def _pictures(found: Sequence[Line]) -> str:
    shown = [
        f"<article><header><h3>{_name(line)}</h3></header>"
        f'<img alt="{escape(f"Attention of {line.entry.system.name}")}" src="{as_url(line.entry.picture)}"></article>'
        for line in found
        if line.entry.picture
    ]
    return f'<h2>Where they look</h2><div class="columns">{"".join(shown)}</div>' if shown else ""
