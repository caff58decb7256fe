"""Are the confidences worth believing? Of the words with 80 %, eight in ten should be right."""

from collections.abc import Sequence
from html import escape

import numpy as np

from asrattn.inference import confidence
from asrattn.report.document import Column, Section, render_table

_SIDE, _EDGE = 240, 40  # of the figure: its square, and what its axes take

WordConfidence = tuple[float, bool]  # of a word heard: its confidence, and whether it is right


def reliability_section(word_confidences: Sequence[WordConfidence]) -> Section:
    """Share of right words over their mean confidence, in bins of as many words each; nothing without two of them."""
    bins = _bins(word_confidences)
    if len(bins) < 2:
        return Section("Confidence", "")
    about = (
        f"{confidence.evaluate_confidence(word_confidences).line()}. Bins of as many words each; on the straight "
        "line, words are as often right as the model is sure."
    )
    cells = [[f"{100 * sure:.1f} %", f"{100 * right:.1f} %", str(count)] for sure, right, count in bins]
    columns = [Column("confidence", "num"), Column("right", "num"), Column("words", "num")]
    figure = (
        f"<figure>{_svg(bins)}<figcaption>Right words against confidence</figcaption>"
        f"<details><summary>The numbers</summary>{render_table(columns, cells)}</details></figure>"
    )
    return Section("Confidence", f'<p class="soft">{escape(about)}</p><div class="columns">{figure}</div>')


def _bins(told: Sequence[WordConfidence]) -> list[tuple[float, float, int]]:
    """Mean confidence, share of right words, their number; the least sure first."""
    parts = np.array_split(np.array(sorted(told), dtype=float).reshape(-1, 2), confidence.NUM_BINS)
    return [(float(p[:, 0].mean()), float(p[:, 1].mean()), len(p)) for p in parts if len(p)]


def _svg(bins: Sequence[tuple[float, float, int]]) -> str:
    def place(sure: float, right: float) -> tuple[float, float]:
        return _EDGE + sure * _SIDE, 8 + (1 - right) * _SIDE

    (x0, y0), (x1, y1) = place(0, 0), place(1, 1)
    points = [place(sure, right) for sure, right, _ in bins]
    axis = "".join(
        f'<line class="axis" x1="{x0}" x2="{x1}" y1="{place(0, v)[1]:.1f}" y2="{place(0, v)[1]:.1f}"/>'
        f'<text x="{x0 - 6}" y="{place(0, v)[1] + 4:.1f}" text-anchor="end">{100 * v:.0f}</text>'
        f'<text x="{place(v, 0)[0]:.1f}" y="{y0 + 17}" text-anchor="middle">{100 * v:.0f}</text>'
        for v in (0, 0.5, 1)
    )
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    marks = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5"/>' for x, y in points)
    said = ", ".join(f"{100 * sure:.0f} %: {100 * right:.0f} %" for sure, right, _ in bins)
    return (
        f'<svg viewBox="0 0 {x1 + 12:.0f} {y0 + 44:.0f}" role="img" '
        f'aria-label="{escape(f"Share of right words by confidence: {said}")}">'
        f'{axis}<line class="axis" x1="{x0}" y1="{y0}" x2="{x1}" y2="{y1}"/><polyline points="{line}"/>{marks}'
        f'<text x="{(x0 + x1) / 2}" y="{y0 + 38}" text-anchor="middle">confidence, %; upwards: right, %</text></svg>'
    )
