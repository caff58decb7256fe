"""Page of an ablation: WER, cost, significance against the first variant, attention plots."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from asrattn import files
from asrattn.metrics.bootstrap import Interval, error_rate_interval
from asrattn.metrics.significance import SignificanceResult, System, compare_to_baseline
from asrattn.metrics.wer import ErrorCounts, sum_counts
from asrattn.report import document
from asrattn.report.document import Column, render_bar, render_page
from asrattn.report.plots import png_data_url


@dataclass(frozen=True)
class VariantEntry:
    """A system, more columns as texts (the same ones for all systems), and a PNG of its attention."""

    system: System
    facts: Mapping[str, str] = field(default_factory=dict)
    attention_png: bytes | None = None


@dataclass(frozen=True)
class VariantRow:
    """An entry with its error rate over all runs, and its significance against the first; None for the first."""

    entry: VariantEntry
    counts: ErrorCounts
    wer_interval: Interval
    significance: SignificanceResult | None

    def cells(self) -> list[str]:
        """As text: name, WER with interval, difference with interval, conclusion, facts."""
        return [
            self.entry.system.name,
            _rate(self.counts, self.wer_interval),
            *self._against(),
            *self.entry.facts.values(),
        ]

    @property
    def significant(self) -> bool:
        return self.significance is not None and self.significance.significant

    def _against(self) -> list[str]:
        if self.significance is None:
            return ["", ""]
        low, high = (100 * end for end in self.significance.interval)
        difference = f"{100 * self.significance.paired.difference:+.1f} [{low:+.1f}, {high:+.1f}]"
        return [difference, self.significance.conclusion]


COLUMNS = ("variant", "WER % [95 %]", "against the first", "paired tests")


def variant_rows(entries: Sequence[VariantEntry]) -> list[VariantRow]:
    """Each entry with its significance against the first. Raises DataError as `compare_to_baseline` does."""
    first, *others = (entry.system for entry in entries)
    significances = [None, *compare_to_baseline(first, others)]
    found = []
    for entry, significance in zip(entries, significances, strict=True):
        found.append(VariantRow(entry, *_pooled(entry.system), significance))
    return found


def format_wer(system: System) -> str:
    """The WER of a system over all its runs, with interval, as text."""
    return _rate(*_pooled(system))


def _pooled(system: System) -> tuple[ErrorCounts, Interval]:
    counts = [sum_counts(row.words for row in rows) for rows in zip(*system.runs, strict=True)]
    return sum_counts(counts), error_rate_interval(counts, [row.speaker for row in system.runs[0]])


def _rate(counts: ErrorCounts, ends: Interval) -> str:
    low, high = (100 * end for end in ends)
    return f"{100 * counts.rate:.1f} [{low:.1f}, {high:.1f}]"


def variant_table(rows: Sequence[VariantRow]) -> list[list[str]]:
    """Rows of text, the heading first."""
    return [[*COLUMNS, *rows[0].entry.facts], *(line.cells() for line in rows)]


def write_variants_page(path: Path, title: str, about: str, rows: Sequence[VariantRow]) -> None:
    """Write the page atomically: the table, then the attention plots."""
    files.write_text(
        path,
        render_page(title, [f'<p class="soft">{escape(about)}</p>', _table(rows), _attention_plots(rows)]),
    )


def _table(found: Sequence[VariantRow]) -> str:
    top = max(max(line.wer_interval[1], line.counts.rate) for line in found) or 1.0
    name, wer, *others = variant_table(found)[0]
    wer = wer.replace(" ", "\u00a0")
    columns = [Column(name), Column(wer, "num"), Column("", "bar"), *(Column(head, "num") for head in others)]
    rows = []
    for line in found:
        _, wer_, difference, word, *cells = map(escape, line.cells())
        shown = render_bar(line.counts.rate, line.wer_interval, top)
        conclusion = word if line.significant else ""
        rows.append([_name(line), _value(wer_), shown, _value(difference), conclusion, *map(_value, cells)])
    return document.render_table(columns, rows, wide=True)


def _name(line: VariantRow) -> str:
    """The name, with line breaks allowed after each +."""
    return escape(line.entry.system.name).replace("+", "+<wbr>")


def _value(text: str) -> str:
    """A value and its interval, neither of which is broken at a line end."""
    value, _, ends = text.partition(" [")
    return f'<b>{value}</b> <span class="soft">[{ends}</span>' if ends else text


def _attention_plots(found: Sequence[VariantRow]) -> str:
    articles = [
        f"<article><header><h3>{_name(line)}</h3></header>"
        f'<img alt="{escape(f"Attention of {line.entry.system.name}")}" '
        f'src="{png_data_url(line.entry.attention_png)}"></article>'
        for line in found
        if line.entry.attention_png
    ]
    return f'<h2>Attention</h2><div class="columns">{"".join(articles)}</div>' if articles else ""
