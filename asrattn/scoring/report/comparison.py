"""Systems side by side on one page: their rates, whether they differ, and what changed, down to the utterance."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from asrattn import files
from asrattn.scoring import changes
from asrattn.scoring.changes import UtteranceChange
from asrattn.scoring.compare import System, Verdict
from asrattn.scoring.counts import total
from asrattn.scoring.interval import interval, unit_of
from asrattn.scoring.report.document import (
    LEGEND,
    Column,
    Section,
    aligned,
    bar,
    page,
    percent,
    plural,
    rate,
    table,
)

_TABLE = 20  # words and speakers of each system
_UTTERANCES = 100  # that became better, and as many that became worse


def write_comparison(path: Path, systems: Sequence[System], verdicts: Sequence[Verdict], about: str) -> None:
    """Write the page whole or not at all. The first system is the baseline; `about` says what was compared."""
    baseline, *others = systems
    unit = unit_of([row.speaker for row in baseline.runs[0]])
    sections: list[Section | str] = [
        f'<p class="soft">{escape(about)} 95 % intervals from resampling {unit}.</p>',
        _rates(systems),
        _differences(baseline, verdicts),
    ]
    for other in others:
        sections += _changes(baseline, other)
    title = f"{', '.join(other.name for other in others)} against {baseline.name}"
    files.write_text(path, page(title, sections))


def _rates(systems: Sequence[System]) -> str:
    speakers = [row.speaker for row in systems[0].runs[0]]
    found = []
    for system in systems:
        utterances = list(zip(*system.runs, strict=True))
        words = [total(row.words for row in runs) for runs in utterances]
        chars = [total(row.chars for row in runs) for runs in utterances]
        found.append(((total(words), interval(words, speakers)), (total(chars), interval(chars, speakers))))
    top = max(max(counts.rate, ends[1]) for (counts, ends), _ in found) or 1.0
    rows = [
        [escape(system.name), str(len(system.runs)), rate(*wer), bar(wer[0].rate, wer[1], top), rate(*cer)]
        for system, (wer, cer) in zip(systems, found, strict=True)
    ]
    columns = [Column("system"), *(Column(name, "num") for name in ("runs", "WER")), Column("", "bar")]
    return table([*columns, Column("CER", "num")], rows, wide=True)


def _differences(baseline: System, verdicts: Sequence[Verdict]) -> Section:
    names = ["p, randomisation", "p, MAPSSWE", "segments", "verdict"]
    columns = [Column("system"), Column("WER difference", "num"), *(Column(name, "num") for name in names)]
    rows = [
        [
            escape(v.name),
            percent(v.paired.difference, v.paired.interval, signed=True),
            _p(v.p_paired),
            _p(v.p_segments),
            str(v.segments.segments),
            f"<b>{v.word}</b>",
        ]
        for v in verdicts
    ]
    about = (
        f'<p class="soft">Against {escape(baseline.name)}, in percentage points: below zero is better. Both tests are '
        "paired, and corrected for the number of systems (Holm); different means that both say so at 5 %.</p>"
    )
    return Section("Difference", about + table(columns, rows, wide=True))


def _p(value: float) -> str:
    return f"{value:.4f}" if value >= 0.0001 else "&lt; 0.0001"


def _changes(a: System, b: System) -> list[Section]:
    found = changes.utterance_changes(a, b)
    better = [change for change in found if change.after < change.before]
    worse = [change for change in found if change.after > change.before]
    tables = f'<div class="columns">{_words(a, b)}{_speakers(a, b)}</div>'
    return [
        Section(f"What changed in {b.name}", f"<p>{_balance(a, b)}</p>{tables}"),
        Section(f"Better in {b.name}", _utterances(a, b, better)),
        Section(f"Worse in {b.name}", _utterances(a, b, worse)),
    ]


def _balance(a: System, b: System) -> str:
    fixed, broken = len(changes.fixed_utterances(a, b)), len(changes.broken_utterances(a, b))
    return f"{plural(fixed, 'utterance')} fixed, {broken} newly broken. (Right is one without an error in any run.)"


def _words(a: System, b: System) -> str:
    found = changes.word_changes(a, b)
    rows = [[escape(w.word), f"{w.fixed:g}", f"{w.broken:g}", str(w.times)] for w in found[:_TABLE]]
    columns = [Column("word", "name"), *(Column(name, "num") for name in ("fixed", "broken", "of"))]
    return f"<div>{table(columns, rows, _caption('Words', len(found)))}</div>" if rows else ""


def _speakers(a: System, b: System) -> str:
    found = changes.speaker_changes(a, b)
    rows = [
        [escape(s.speaker), str(s.words), f"{100 * s.before:.1f} %", f"{100 * s.after:.1f} %"]
        for s in found[:_TABLE]
    ]
    columns = [Column("speaker", "name"), *(Column(name, "num") for name in ("words", "before", "after"))]
    return f"<div>{table(columns, rows, _caption('Speakers', len(found)))}</div>" if rows else ""


def _caption(name: str, found: int) -> str:
    return f"{name}, the {_TABLE} of {found} that changed most" if found > _TABLE else name


def _utterances(a: System, b: System, found: Sequence[UtteranceChange]) -> str:
    """Those that changed most first."""
    if not found:
        return ""
    told = [f"The {_UTTERANCES} of {len(found)} that changed most." if len(found) > _UTTERANCES else ""]
    told += ["Texts are those of the first runs." if max(len(a.runs), len(b.runs)) > 1 else ""]
    about = f'<p class="soft">{" ".join(told).strip()}</p>' if any(told) else ""
    return about + LEGEND + "".join(_utterance(a.name, b.name, change) for change in found[:_UTTERANCES])


def _utterance(a: str, b: str, change: UtteranceChange) -> str:
    before, after = change.rows
    kind = "fixed" if not change.after else "newly broken" if not change.before else ""
    speaker = f" · {escape(before.speaker)}" if before.speaker else ""
    return f"""
<article><header><h3>{escape(before.id)}</h3>
<span class="soft"><b>{kind}</b> errors {change.before:g} → {change.after:g} in
{plural(before.words.words, "word")}{speaker}</span></header>
{aligned(before.reference, [(a, before.hypothesis), (b, after.hypothesis)])}</article>"""
