"""Slices of a set: error rates by speaker and tags as tables, over length and SNR as curves."""

from collections.abc import Sequence
from html import escape

from asrattn.data.manifest import Utterance
from asrattn.metrics.normalize import Normalizer
from asrattn.metrics.result import ScoredUtterance
from asrattn.metrics.slices import UNITS, UNKNOWN_LABEL, Slice, ordered_slices, worst_slices
from asrattn.report.document import Column, Section, render_bar, render_percent, render_table

_MAX_SLICES = 40  # rows of a table
_WIDE, _HIGH, _LEFT, _FOOT = 360, 210, 38, 44  # size of a curve, and the space for its axes
_SCALES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0, 1.2, 1.6, 2.0)  # round upper ends
_NAMES = {"length": "words in the utterance", "snr": "signal-to-noise ratio, dB", "rate": "words a second"}


def curves_section(
    utterances: Sequence[Utterance], rows: Sequence[ScoredUtterance], normalizer: Normalizer, estimated: bool
) -> Section:
    """WER over length, and over the tag snr if there is one; `estimated`: the tag is an estimate."""
    fields = ["length", *(["snr"] if any("snr" in u.tags for u in utterances) else [])]
    drawn = []
    for field in fields:
        found = ordered_slices("", utterances, rows, field, normalizer)
        if len(found) > 1:
            drawn.append(_curve(found, field))
    about = "Five slices with equal numbers of utterances, with 95 % intervals."
    if estimated and "snr" in fields:
        about += " The SNR is estimated from the audio: loud frames (95th percentile) over quiet ones (10th)."
    html = f'<p class="soft">{about}</p><div class="columns">{"".join(drawn)}</div>'
    return Section("Against length and noise" if len(drawn) > 1 else "Against length", (drawn and html) or "")


def _curve(found: Sequence[Slice], field: str) -> str:
    """A figure, and the same numbers as a table."""
    name = _NAMES[field]
    highest = max(max(s.result.wer, s.result.wer_interval[1]) for s in found)
    top = next((scale for scale in _SCALES if scale >= highest), highest)
    return (
        f"<figure>{_svg(found, field, top)}<figcaption>WER against {name}</figcaption>"
        f"<details><summary>The numbers</summary>{_table(found, field, top)}</details></figure>"
    )


def _svg(found: Sequence[Slice], field: str, top: float) -> str:
    """A point with its interval for each slice; the scale ends at `top`."""
    step, high = (_WIDE - _LEFT) / len(found), _HIGH - _FOOT

    def y(value: float) -> float:
        return 8 + (high - 8) * (1 - min(value / top, 1.0))

    marks, line = [], []
    for at, part in enumerate(found):
        x, (low, up) = _LEFT + step * (at + 0.5), part.result.wer_interval
        marks.append(
            f'<line class="ends" x1="{x:.1f}" x2="{x:.1f}" y1="{y(low):.1f}" y2="{y(up):.1f}"/>'
            f'<circle cx="{x:.1f}" cy="{y(part.result.wer):.1f}" r="4.5"/>'
            f'<text x="{x:.1f}" y="{high + 17}" text-anchor="middle">{escape(_label(part, field))}</text>'
        )
        if part.label != UNKNOWN_LABEL:
            line.append(f"{x:.1f},{y(part.result.wer):.1f}")
    axis = "".join(
        f'<line class="axis" x1="{_LEFT}" x2="{_WIDE}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>'
        f'<text x="{_LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{100 * value:.{0 if top > 0.1 else 1}f}</text>'
        for value in (0, top / 2, top)
    )
    label = ", ".join(f"{p.label}: {100 * p.result.wer:.1f} %" for p in found)
    return (
        f'<svg viewBox="0 0 {_WIDE} {_HIGH}" role="img" aria-label="{escape(f"WER by {_NAMES[field]}: {label}")}">'
        f'{axis}<polyline points="{" ".join(line)}"/>{"".join(marks)}'
        f'<text x="{(_WIDE + _LEFT) / 2}" y="{_HIGH - 6}" text-anchor="middle">{escape(_NAMES[field])}</text>'
        f'<text x="0" y="{_HIGH - 6}">WER %</text></svg>'
    )


def tables_section(
    utterances: Sequence[Utterance],
    rows: Sequence[ScoredUtterance],
    fields: Sequence[str],
    normalizer: Normalizer,
) -> Section:
    """A table for each field with at least two slices, the worst slice first."""
    found = [(field, worst_slices("", utterances, rows, field, normalizer)) for field in fields]
    drawn = [_field(field, parts) for field, parts in found if len(parts) > 1]
    return Section("Slices", f'<div class="columns">{"".join(drawn)}</div>' if drawn else "")


def _field(field: str, found: Sequence[Slice]) -> str:
    shown = found[:_MAX_SLICES]
    top = max(max(s.result.wer, s.result.wer_interval[1]) for s in shown) or 1.0
    more = f", the worst {_MAX_SLICES} of {len(found)}" if len(found) > _MAX_SLICES else ""
    few = (
        '<p class="soft">* fewer than 100 words: an unreliable rate.</p>'
        if any(s.has_few_words for s in shown)
        else ""
    )
    return f"<div>{_table(shown, field, top, f'By {field}{more}')}{few}</div>"


def _label(part: Slice, field: str) -> str:
    """The label without its unit, which the heading has."""
    return part.label.removesuffix(f" {UNITS.get(field, '')}")


def _table(found: Sequence[Slice], field: str, top: float, caption: str = "") -> str:
    cells = [
        [
            escape(_label(part, field)) + ("*" if part.has_few_words else ""),
            str(part.result.words),
            render_percent(part.result.wer, part.result.wer_interval),
            render_bar(part.result.wer, part.result.wer_interval, top),
        ]
        for part in found
    ]
    name = f"{field}, {UNITS[field]}" if field in UNITS else field
    columns = [Column(name, "name"), Column("words", "num"), Column("WER", "num"), Column("", "bar")]
    return render_table(columns, cells, caption)


def slice_fields(utterances: Sequence[Utterance], requested: Sequence[str]) -> list[str]:
    """Fields for slices: the requested ones, the speaker, the speaking rate, and tags with few values."""
    speakers = ["speaker"] if len({u.speaker for u in utterances if u.speaker}) > 1 else []
    tags = sorted({name for u in utterances for name in u.tags} - {"snr"})
    few = [name for name in tags if len({u.tags.get(name) for u in utterances}) <= _MAX_SLICES]
    return list(dict.fromkeys([*requested, *speakers, "rate", *few]))
