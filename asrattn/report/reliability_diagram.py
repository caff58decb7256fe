"""Reliability diagram of word confidence: of the words with confidence 80 %, eight in ten should be correct."""

from collections.abc import Sequence
from html import escape

from asrattn.metrics import calibration
from asrattn.report.document import Column, Section, render_table

_SIDE, _EDGE = 240, 40  # of the square plot, and the space for its axes

WordConfidence = tuple[float, bool]  # confidence of a hypothesis word, and whether it is correct


def reliability_section(word_confidences: Sequence[WordConfidence]) -> Section:
    """Accuracy over mean confidence, in bins with equal numbers of words; empty with fewer than two bins."""
    bins = calibration.calibration_bins(
        [sure for sure, _ in word_confidences], [right for _, right in word_confidences]
    )
    if len(bins) < 2:
        return Section("Confidence", "")
    quality = calibration.evaluate_confidence(word_confidences)
    about = (
        f"{quality.line()}. Bins of equal numbers of words; on the straight line, accuracy equals confidence."
    )
    cells = [[f"{100 * sure:.1f} %", f"{100 * right:.1f} %", str(count)] for sure, right, count in bins]
    columns = [Column("confidence", "num"), Column("correct", "num"), Column("words", "num")]
    figure = (
        f"<figure>{_svg(bins)}<figcaption>Accuracy of words against confidence</figcaption>"
        f"<details><summary>The numbers</summary>{render_table(columns, cells)}</details></figure>"
    )
    return Section("Confidence", f'<p class="soft">{escape(about)}</p><div class="columns">{figure}</div>')


def _svg(bins: Sequence[calibration.CalibrationBin]) -> str:
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
    label = ", ".join(f"{100 * sure:.0f} %: {100 * right:.0f} %" for sure, right, _ in bins)
    return (
        f'<svg viewBox="0 0 {x1 + 12:.0f} {y0 + 44:.0f}" role="img" '
        f'aria-label="{escape(f"Accuracy of words by confidence: {label}")}">'
        f'{axis}<line class="axis" x1="{x0}" y1="{y0}" x2="{x1}" y2="{y1}"/><polyline points="{line}"/>{marks}'
        f'<text x="{(x0 + x1) / 2}" y="{y0 + 38}" text-anchor="middle">confidence, %; upwards: correct, %</text></svg>'
    )
