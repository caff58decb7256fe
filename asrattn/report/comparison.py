"""Comparison page: error rates of systems, significance of differences, changed words, speakers and utterances."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from asrattn import files
from asrattn.metrics import error_changes
from asrattn.metrics.bootstrap import error_rate_interval, resampling_unit
from asrattn.metrics.error_changes import UtteranceChange
from asrattn.metrics.significance import SignificanceResult, System
from asrattn.metrics.wer import sum_counts
from asrattn.report.document import (
    LEGEND,
    Column,
    Section,
    plural,
    render_alignment,
    render_bar,
    render_error_rate,
    render_page,
    render_percent,
    render_table,
)

_MAX_TABLE_ROWS = 20  # words and speakers of each system
_MAX_UTTERANCES = 100  # that became better, and as many that became worse


def write_comparison(
    path: Path, systems: Sequence[System], results: Sequence[SignificanceResult], about: str
) -> None:
    """Write the page atomically. The first system is the baseline; `about` describes the comparison."""
    baseline, *others = systems
    unit = resampling_unit([row.speaker for row in baseline.runs[0]])
    sections: list[Section | str] = [
        f'<p class="soft">{escape(about)} 95 % intervals from resampling {unit}.</p>',
        _rates(systems),
        _differences(baseline, results),
    ]
    for other in others:
        sections += _changes(baseline, other)
    title = f"{', '.join(other.name for other in others)} against {baseline.name}"
    files.write_text(path, render_page(title, sections))


def _rates(systems: Sequence[System]) -> str:
    speakers = [row.speaker for row in systems[0].runs[0]]
    found = []
    for system in systems:
        utterances = list(zip(*system.runs, strict=True))
        words = [sum_counts(row.words for row in runs) for runs in utterances]
        chars = [sum_counts(row.chars for row in runs) for runs in utterances]
        found.append(
            (
                (sum_counts(words), error_rate_interval(words, speakers)),
                (sum_counts(chars), error_rate_interval(chars, speakers)),
            )
        )
    top = max(max(counts.rate, ends[1]) for (counts, ends), _ in found) or 1.0
    rows = [
        [
            escape(system.name),
            str(len(system.runs)),
            render_error_rate(*wer),
            render_bar(wer[0].rate, wer[1], top),
            render_error_rate(*cer),
        ]
        for system, (wer, cer) in zip(systems, found, strict=True)
    ]
    columns = [Column("system"), *(Column(name, "num") for name in ("runs", "WER")), Column("", "bar")]
    return render_table([*columns, Column("CER", "num")], rows, wide=True)


def _differences(baseline: System, results: Sequence[SignificanceResult]) -> Section:
    names = ["p, randomisation", "p, MAPSSWE", "segments", "p, seeds", "conclusion"]
    columns = [Column("system"), Column("WER difference", "num"), *(Column(name, "num") for name in names)]
    rows = [
        [
            escape(v.name),
            render_percent(v.paired.difference, v.interval, signed=True),
            _p(v.p_randomisation),
            _p(v.p_mapsswe),
            str(v.mapsswe.segments),
            "–" if v.p_seeds is None else _p(v.p_seeds),
            f"<b>{v.conclusion}</b>",
        ]
        for v in results
    ]
    notes = dict.fromkeys(note for v in results for note in v.notes)
    about = (
        f'<p class="soft">Against {escape(baseline.name)}, in percentage points: below zero is better. The tests are '
        "paired, and corrected for the number of systems (Holm); significant means that all are, at 5 %."
        f"{''.join(f' Note: {note}.' for note in notes)}</p>"
    )
    return Section("Difference", about + render_table(columns, rows, wide=True))


def _p(value: float) -> str:
    return f"{value:.4f}" if value >= 0.0001 else "&lt; 0.0001"


def _changes(a: System, b: System) -> list[Section]:
    found = error_changes.utterance_changes(a, b)
    better = [change for change in found if change.after < change.before]
    worse = [change for change in found if change.after > change.before]
    tables = f'<div class="columns">{_words(a, b)}{_speakers(a, b)}</div>'
    return [
        Section(f"What changed in {b.name}", f"<p>{_balance(a, b)}</p>{tables}"),
        Section(f"Better in {b.name}", _utterances(a, b, better)),
        Section(f"Worse in {b.name}", _utterances(a, b, worse)),
    ]


def _balance(a: System, b: System) -> str:
    fixed, broken = len(error_changes.fixed_utterances(a, b)), len(error_changes.broken_utterances(a, b))
    return f"{plural(fixed, 'utterance')} fixed, {broken} newly broken. (Correct means without an error in any run.)"


def _words(a: System, b: System) -> str:
    found = error_changes.word_changes(a, b)
    rows = [[escape(w.word), f"{w.fixed:g}", f"{w.broken:g}", str(w.times)] for w in found[:_MAX_TABLE_ROWS]]
    columns = [Column("word", "name"), *(Column(name, "num") for name in ("fixed", "broken", "of"))]
    return f"<div>{render_table(columns, rows, _caption('Words', len(found)))}</div>" if rows else ""


def _speakers(a: System, b: System) -> str:
    found = error_changes.speaker_changes(a, b)
    rows = [
        [escape(s.speaker), str(s.words), f"{100 * s.before:.1f} %", f"{100 * s.after:.1f} %"]
        for s in found[:_MAX_TABLE_ROWS]
    ]
    columns = [Column("speaker", "name"), *(Column(name, "num") for name in ("words", "before", "after"))]
    return f"<div>{render_table(columns, rows, _caption('Speakers', len(found)))}</div>" if rows else ""


def _caption(name: str, found: int) -> str:
    return f"{name}, the {_MAX_TABLE_ROWS} of {found} that changed most" if found > _MAX_TABLE_ROWS else name


def _utterances(a: System, b: System, found: Sequence[UtteranceChange]) -> str:
    """The utterances that changed most first."""
    if not found:
        return ""
    notes = [
        f"The {_MAX_UTTERANCES} of {len(found)} that changed most." if len(found) > _MAX_UTTERANCES else ""
    ]
    notes += ["Texts are those of the first runs." if max(len(a.runs), len(b.runs)) > 1 else ""]
    about = f'<p class="soft">{" ".join(notes).strip()}</p>' if any(notes) else ""
    return about + LEGEND + "".join(_utterance(a.name, b.name, change) for change in found[:_MAX_UTTERANCES])


def _utterance(a: str, b: str, change: UtteranceChange) -> str:
    before, after = change.rows
    kind = "fixed" if not change.after else "newly broken" if not change.before else ""
    speaker = f" · {escape(before.speaker)}" if before.speaker else ""
    return f"""
<article><header><h3>{escape(before.id)}</h3>
<span class="soft"><b>{kind}</b> errors {change.before:g} → {change.after:g} in
{plural(before.words.words, "word")}{speaker}</span></header>
{render_alignment(before.reference, [(a, before.hypothesis), (b, after.hypothesis)])}</article>"""
