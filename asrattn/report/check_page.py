"""Page of a corpus check: self-contained HTML."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from asrattn import files
from asrattn.corpus_check.finding import Finding, FindingKind, Severity
from asrattn.corpus_check.result import CheckResult, SplitStats
from asrattn.corpus_check.result import format_split_table as rows_of
from asrattn.report.document import Column, Section, render_bar, render_definitions, render_page, render_table

_SHOWN = 50  # findings of a kind; the JSON has all
_SPEAKERS = 30
_NAMES = {
    Severity.BREAKS: "Breaks training",
    Severity.SUSPICIOUS: "Suspicious",
    Severity.NOTE: "Good to know",
}


def write_check_page(path: Path, title: str, result: CheckResult) -> None:
    """Write the page atomically."""
    sections: list[Section | str] = [
        f'<p class="soft">{escape(result.summary())}</p>',
        _splits(result.splits),
        Section("With the recipe", render_definitions(list(result.facts.items()))),
        *(_severity(severity, kinds) for severity, kinds in result.by_severity.items() if kinds),
        *(_speakers(split) for split in result.splits),
    ]
    whole = render_page(title, sections).encode(
        "utf-8", "backslashreplace"
    )  # a file name may not be valid text
    files.write_text(path, whole.decode("utf-8"))


def _splits(splits: Sequence[SplitStats]) -> str:
    heads, *rows = rows_of(splits)
    columns = [Column(heads[0]), *(Column(head, "num") for head in heads[1:])]
    cells = [[escape(str(each)) for each in row] for row in rows]
    note = '<p class="soft">new: words of a split that train does not have; texts: different ones</p>'
    return render_table(columns, cells, wide=True) + note


def _severity(severity: Severity, kinds: dict[FindingKind, list[Finding]]) -> Section:
    return Section(_NAMES[severity], "".join(_kind(kind, found) for kind, found in kinds.items()))


def _kind(kind: FindingKind, found: Sequence[Finding]) -> str:
    items = render_definitions([(each.where, each.detail) for each in found[:_SHOWN]])
    more = f'<p class="soft">and {len(found) - _SHOWN} more, in check.json</p>' if len(found) > _SHOWN else ""
    return f"""
<article><header><h3>{escape(kind.name)}: {len(found)}</h3>
<span class="soft">{escape(kind.remedy)}</span></header>{items}{more}</article>"""


def _speakers(split: SplitStats) -> Section:
    """Minutes of each speaker, the longest first; empty with fewer than two speakers."""
    heading = f"Speakers of {split.name}"
    if len(split.speakers) < 2:
        return Section(heading, "")
    shown = list(split.speakers.items())[:_SPEAKERS]
    top = max(seconds for _, seconds in shown) or 1.0
    cells = [
        [escape(name), render_bar(seconds, (0.0, seconds), top), f"{seconds / 60:.1f} min"]
        for name, seconds in shown
    ]
    hidden = len(split.speakers) - len(shown)
    more = f'<p class="soft">The first {len(shown)} of {len(split.speakers)}.</p>' if hidden else ""
    return Section(
        heading,
        more + render_table([Column("speaker", "name"), Column("", "bar"), Column("time", "num")], cells),
    )
