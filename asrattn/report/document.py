"""HTML building blocks of all pages: the document, sections, tables, bars, aligned texts."""

from collections.abc import Sequence
from html import escape
from itertools import zip_longest
from typing import NamedTuple

from asrattn.metrics.bootstrap import Interval
from asrattn.metrics.wer import ErrorCounts, align, split_words
from asrattn.report.style import CSS, SCRIPT

LEGEND = (
    '<p class="soft legend"><span class="substitute">substituted</span> '
    "<del>deleted</del> <ins>inserted</ins></p>"
)


class Section(NamedTuple):
    """A section of a page with its heading, which the table of contents lists. HTML; empty ones are left out."""

    heading: str
    html: str

    @property
    def anchor(self) -> str:
        """For links."""
        return "".join(c if c.isalnum() else "-" for c in self.heading.lower())


class Column(NamedTuple):
    """A table column: its heading and its CSS class (num: a number; bar; name; "")."""

    heading: str
    css_class: str = ""


def render_page(title: str, parts: Sequence[Section | str]) -> str:
    """A whole document; it loads nothing, and works without scripts."""
    shown = [part for part in parts if part and (isinstance(part, str) or part.html)]
    sections = [part for part in shown if isinstance(part, Section)]
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{CSS}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
<main id="main" tabindex="-1">
<h1>{escape(title)}</h1>
{_contents(sections)}
{"".join(map(_part, shown))}
</main>
<script>{SCRIPT}</script>
</body>
</html>
"""


def _contents(sections: Sequence[Section]) -> str:
    if len(sections) < 2:
        return ""
    links = "".join(f'<li><a href="#{s.anchor}">{escape(s.heading)}</a></li>' for s in sections)
    return f'<nav aria-label="Contents"><ul>{links}</ul></nav>'


def _part(part: Section | str) -> str:
    if isinstance(part, str):
        return part
    heading = f'<h2 id="h-{part.anchor}">{escape(part.heading)}</h2>'
    return f'\n<section id="{part.anchor}" aria-labelledby="h-{part.anchor}">{heading}{part.html}</section>'


def render_table(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], caption: str = "", wide: bool = False
) -> str:
    """Cells are HTML. On a narrow screen each row of a wide table becomes a list of headings and values."""
    heads = "".join(f'<th scope="col" class="{c.css_class}">{escape(c.heading)}</th>' for c in columns)
    body = "".join(
        "<tr>"
        + "".join(
            f'<td class="{column.css_class}" data-label="{escape(column.heading)}">{cell}</td>'
            for column, cell in zip(columns, row, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    name = f"<caption>{escape(caption)}</caption>" if caption else ""
    inner = f"{name}<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="scroll"><table class="wide">{inner}</div>' if wide else f"<table>{inner}"


def render_error_rate(counts: ErrorCounts, ends: Interval) -> str:
    """An error rate in percent with its interval."""
    if counts.words == 0:
        return plural(counts.insertions, "insertion")
    return render_percent(counts.rate, ends)


def render_percent(value: float, ends: Interval, signed: bool = False) -> str:
    """A fraction in percent with its interval; signed for a difference of fractions."""
    middle, low, high = (f"{100 * each:{'+' if signed else ''}.1f}" for each in (value, *ends))
    return f'<b>{middle} %</b> <span class="soft">[{low}, {high}]</span>'


def render_bar(rate: float, ends: Interval, top: float) -> str:
    """The rate as a point on its interval, on a scale from 0 to `top`."""
    left, point, right = (100 * min(value / top, 1.0) for value in (ends[0], rate, ends[1]))
    return (
        f'<div class="bar"><i style="left:{left:.2f}%;width:{max(right - left, 0):.2f}%"></i>'
        f'<b style="left:{point:.2f}%"></b></div>'
    )


def render_definitions(known: Sequence[tuple[str, str]]) -> str:
    items = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in known)
    return f"<dl>{items}</dl>" if items else ""


def plural(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def render_alignment(reference: str, hypotheses: Sequence[tuple[str, str]]) -> str:
    """The reference above each (name, hypothesis), a column for each word."""
    names = "".join(f"<span>{escape(name)}</span>" for name in ("ref", *(name for name, _ in hypotheses)))
    columns = [f'<span class="rows">{names}</span>']
    for word, below in _columns(reference, [text for _, text in hypotheses]):
        columns.append(f"<span><span>{escape(word)}</span>{''.join(below)}</span>")
    return f'<div class="pairs">{"".join(columns)}</div>'


def _columns(reference: str, hypotheses: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Words of the reference, each with its cell of every hypothesis; insertions have an empty word."""
    sides = [_slots(reference, text) for text in hypotheses]
    columns: list[tuple[str, list[str]]] = []
    for word, cells in zip([*split_words(reference), ""], zip(*sides, strict=True), strict=True):
        inserted = zip_longest(*(slot.inserted for slot in cells), fillvalue="<span></span>")
        columns += [("", list(column)) for column in inserted]
        if word:
            columns.append((word, [slot.cell for slot in cells]))
    return columns


class _Slot(NamedTuple):
    """The cell of a word in a hypothesis, and the words inserted before it."""

    inserted: list[str]
    cell: str


def _slots(reference: str, text: str) -> list[_Slot]:
    """A slot for each word of the reference, and one for its end."""
    found: list[_Slot] = []
    inserted: list[str] = []
    for kind, ref, hyp in align(split_words(reference), split_words(text)):
        if kind == "insert":
            inserted.append(f"<ins>{escape(hyp)}</ins>")
            continue
        cell = (
            f"<del>{escape(ref)}</del>" if kind == "delete" else f'<span class="{kind}">{escape(hyp)}</span>'
        )
        found.append(_Slot(inserted, cell))
        inserted = []
    return [*found, _Slot(inserted, "")]
