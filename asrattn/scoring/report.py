"""One page that shows how well a model hears: self-contained HTML, nothing loaded from elsewhere."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from asrattn.scoring.counts import ErrorCounts, align, words
from asrattn.scoring.pictures import Picture, as_url, png
from asrattn.scoring.result import Row, SetResult, by_speaker, confusions, summarize, worst
from asrattn.scoring.style import CSS

_CONFUSIONS = 15
_SPEAKERS = 40


def write_report(
    path: Path,
    results: Sequence[SetResult],
    rows: Sequence[Row],
    *,
    title: str = "Recognition report",
    facts: Mapping[str, str] | None = None,
    pictures: Mapping[str, Picture] | None = None,
    n_worst: int = 10,
) -> None:
    """Write the page whole or not at all.

    results    one a set; rows the utterances of which the worst, the confusions and the speakers are shown
    facts      about the model, shown as they are
    pictures   by utterance id, for those of the worst that have one
    """
    sections = [
        _results(results),
        _facts(facts or {}),
        _worst(worst(rows, n_worst), pictures or {}),
        f'<div class="columns">{_confusions(rows)}{_speakers(rows)}</div>',
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".part")
    draft.write_text(page(title, sections), encoding="utf-8")
    draft.replace(path)


def page(title: str, sections: Sequence[str]) -> str:
    """A whole document."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{CSS}</style>
</head>
<body><main>
<h1>{escape(title)}</h1>
{"".join(sections)}
</main></body>
</html>
"""


def _results(results: Sequence[SetResult]) -> str:
    top = max((max(r.wer_interval[1], r.wer) for r in results), default=0.0) or 1.0
    lines = "".join(
        f"<tr><td>{escape(r.name)}</td>{cell(r.utterances)}{cell(r.words)}"
        f"{_rate_cell(r.word_counts, r.wer_interval)}"
        f'<td class="wide roomy">{bar(r.wer, r.wer_interval, top)}</td>'
        f"{_rate_cell(r.char_counts, r.cer_interval)}"
        f"{cell('–' if r.rtf is None else f'{r.rtf:.3f}')}</tr>"
        for r in results
    )
    units = " or ".join(sorted({r.unit for r in results}))
    return f"""
<p class="soft">Word and character error rates with 95 % intervals from resampling {units};
the bars run from 0 to {100 * top:.1f} %. RTF: seconds of work for a second of audio.</p>
<div class="scroll"><table>
<tr><th>set</th><th class="num">utterances</th><th class="num">words</th><th class="num">WER</th><th class="roomy"></th>
<th class="num">CER</th><th class="num">RTF</th></tr>
{lines}</table></div>"""


def cell(value: object) -> str:
    """Of a table, with a number; HTML as it stands."""
    return f'<td class="num">{value}</td>'


def _rate_cell(counts: ErrorCounts, ends: tuple[float, float]) -> str:
    if counts.words == 0:
        return cell(f"{counts.insertions} insertions")
    low, high = (100 * end for end in ends)
    return cell(f'<b>{100 * counts.rate:.1f} %</b> <span class="soft">[{low:.1f}, {high:.1f}]</span>')


def bar(rate: float, ends: tuple[float, float], top: float) -> str:
    """The rate as a point on its interval, on a scale from 0 to `top`."""
    left, point, right = (100 * min(value / top, 1.0) for value in (ends[0], rate, ends[1]))
    return (
        f'<div class="bar"><i style="left:{left:.2f}%;width:{max(right - left, 0):.2f}%"></i>'
        f'<b style="left:{point:.2f}%"></b></div>'
    )


def _facts(facts: Mapping[str, str]) -> str:
    if not facts:
        return ""
    items = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())
    return f"<h2>Model</h2><dl>{items}</dl>"


def _worst(rows: Sequence[Row], pictures: Mapping[str, Picture]) -> str:
    if not rows:
        return "<h2>Worst utterances</h2><p>None: every word was heard as it was said.</p>"
    return (
        "<h2>Worst utterances</h2>"
        '<p class="soft legend">Above what was said, below what was heard: <span class="mark s">substituted</span>'
        '<span class="mark d">deleted</span><span class="mark i">inserted</span></p>'
        + "".join(_utterance(row, pictures.get(row.id)) for row in rows)
    )


def _utterance(row: Row, picture: Picture | None) -> str:
    drawn = png(picture) if picture else None
    image = ""
    if drawn:
        alt = escape(f"Features and attention of {row.id}")
        image = f'<img alt="{alt}" src="{as_url(drawn)}">'
    speaker = f" · {escape(row.speaker)}" if row.speaker else ""
    n = row.words
    return f"""
<article><header><h3>{escape(row.id)}</h3>
<span class="soft">{_plural(n.errors, "error")} in {_plural(n.words, "word")}{speaker}</span></header>
<div class="pairs">{_pairs(row)}</div>{image}</article>"""


def _pairs(row: Row) -> str:
    """Reference above hypothesis, one column a word."""
    tags = {"equal": ("span", "span"), "substitute": ("span", "span"), "delete": ("del", "span")}
    columns = ['<span class="rows"><span>said</span><span>heard</span></span>']
    for kind, said, heard in align(words(row.reference), words(row.hypothesis)):
        above, below = tags.get(kind, ("span", "ins"))
        columns.append(
            f'<span class="{kind}"><{above}>{escape(said)}</{above}><{below}>{escape(heard)}</{below}></span>'
        )
    return "".join(columns)


def _confusions(rows: Sequence[Row]) -> str:
    found = confusions(rows, _CONFUSIONS)
    if not found:
        return ""
    nothing = '<span class="soft">nothing</span>'
    lines = "".join(
        f'<tr><td class="name">{escape(said) or nothing}</td><td class="name">{escape(heard) or nothing}</td>'
        f"{cell(times)}</tr>"
        for said, heard, times in found
    )
    return f"""<section><h2>Most frequent confusions</h2>
<table><tr><th>said</th><th>heard</th><th class="num">times</th></tr>{lines}</table></section>"""


def _speakers(rows: Sequence[Row]) -> str:
    """WER by speaker, worst first; nothing where there are not at least two known ones."""
    groups = {speaker: own for speaker, own in by_speaker(rows).items() if speaker}
    if len(groups) < 2:
        return ""
    results = sorted((summarize(name, own) for name, own in groups.items()), key=lambda r: (-r.wer, r.name))
    shown = results[:_SPEAKERS]
    top = max(max(r.wer_interval[1], r.wer) for r in shown) or 1.0
    lines = "".join(
        f'<tr><td class="name" title="{escape(r.name)}">{escape(r.name)}</td>'
        f'<td class="wide">{bar(r.wer, r.wer_interval, top)}</td>'
        f"{cell(f'{100 * r.wer:.1f} %')}</tr>"
        for r in shown
    )
    more = (
        f'<p class="soft">The worst {len(shown)} of {len(results)}.</p>' if len(results) > len(shown) else ""
    )
    return f"""<section><h2>Word error rate by speaker</h2>{more}
<table><tr><th>speaker</th><th></th><th class="num">WER</th></tr>{lines}</table></section>"""


def _plural(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
