"""The examination as one page: self-contained HTML, nothing loaded from elsewhere."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from asrattn.checking.finding import Finding, Kind, Severity
from asrattn.checking.result import Result, Split, table
from asrattn.scoring.report import bar, cell, page

_SHOWN = 50  # findings of a kind; json has all
_SPEAKERS = 30
_MARKS = {Severity.BREAKS: "d", Severity.SUSPICIOUS: "s", Severity.NOTE: "i"}  # colours of the style sheet
_NAMES = {
    Severity.BREAKS: "Breaks training",
    Severity.SUSPICIOUS: "Suspicious",
    Severity.NOTE: "Good to know",
}


def write_page(path: Path, title: str, result: Result) -> None:
    """Write the page whole or not at all."""
    sections = [
        f'<p class="soft">{escape(result.summary())}</p>',
        _splits(result.splits),
        _facts(result),
        *(_severity(severity, kinds) for severity, kinds in result.groups.items() if kinds),
        f'<div class="columns">{"".join(_speakers(split) for split in result.splits)}</div>',
    ]
    draft = path.with_name(path.name + ".part")
    draft.write_text(page(title, sections), encoding="utf-8", errors="backslashreplace")
    draft.replace(path)


def _splits(splits: Sequence[Split]) -> str:
    heads, *rows = table(splits)
    head = f"<th>{heads[0]}</th>" + "".join(f'<th class="num">{each}</th>' for each in heads[1:])
    lines = "".join(f"<tr><td>{escape(name)}</td>{''.join(map(cell, cells))}</tr>" for name, *cells in rows)
    return (
        f'<div class="scroll"><table><tr>{head}</tr>{lines}</table></div>'
        '<p class="soft">new: words of a split that train does not have; texts: different ones</p>'
    )


def _facts(result: Result) -> str:
    items = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in result.facts.items()
    )
    return f"<h2>With the recipe</h2><dl>{items}</dl>" if items else ""


def _severity(severity: Severity, kinds: dict[Kind, list[Finding]]) -> str:
    return f"<h2>{_NAMES[severity]}</h2>" + "".join(_kind(kind, found) for kind, found in kinds.items())


def _kind(kind: Kind, found: Sequence[Finding]) -> str:
    items = "".join(f"<dt>{escape(each.where)}</dt><dd>{escape(each.what)}</dd>" for each in found[:_SHOWN])
    more = f'<p class="soft">and {len(found) - _SHOWN} more, in check.json</p>' if len(found) > _SHOWN else ""
    return f"""
<article><header><h3><span class="mark {_MARKS[kind.severity]}">{escape(kind.name)}</span> {len(found)}</h3>
<span class="soft">{escape(kind.remedy)}</span></header><dl class="found">{items}</dl>{more}</article>"""


def _speakers(split: Split) -> str:
    """Minutes of each speaker, the most first; nothing where there are not at least two."""
    if len(split.speakers) < 2:
        return ""
    shown = list(split.speakers.items())[:_SPEAKERS]
    top = max(seconds for _, seconds in shown) or 1.0
    lines = "".join(
        f'<tr><td class="name" title="{escape(name)}">{escape(name)}</td>'
        f'<td class="wide">{bar(seconds, (0.0, seconds), top)}</td>{cell(f"{seconds / 60:.1f} min")}</tr>'
        for name, seconds in shown
    )
    hidden = len(split.speakers) - len(shown)
    more = f'<p class="soft">The first {len(shown)} of {len(split.speakers)}.</p>' if hidden else ""
    return f"<section><h2>Speakers of {escape(split.name)}</h2>{more}<table>{lines}</table></section>"
