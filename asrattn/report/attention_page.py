"""Page of the attention weights of one utterance: audio, plots of every layer and head, attention metrics."""

import base64
from collections.abc import Collection, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from asrattn import files
from asrattn.report.document import Column, Section, render_page, render_table
from asrattn.report.plots import UtterancePlot, png_data_url, render_png

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# What each metric says, and its values in trained models (AN4's dev set, docs/guides/doctor.md).
METRICS = {
    "focus": ("1: each token attends to one frame; 0: to all frames alike", "0.4 to 0.7"),
    "monotonicity": ("share of tokens that do not attend further back than the token before", "near 1"),
    "diagonality": ("1: the weights lie on the diagonal", "near 1 if speech fills the recording"),
    "skipped": ("share of tokens whose frames, by the CTC alignment, get little weight", "0.02"),
    "repeated": ("share of tokens whose frames get the weight of two tokens", "near 0"),
    "agreement": ("share of tokens that attend where CTC aligns them", "0.84 to 0.88"),
}


def head_panels(
    layers: Sequence["NDArray[np.floating]"], alignment_heads: Collection[tuple[int, int]]
) -> list[list[tuple[str, "NDArray[np.floating]"]]]:
    """The (U, T) weights of each head of each layer with their names; layers and heads are counted from 1."""
    return [
        [
            (
                f"layer {layer + 1}, head {head + 1}{'*' if (layer, head) in alignment_heads else ''}",
                weights,
            )
            for head, weights in enumerate(own)
        ]
        for layer, own in enumerate(layers)
    ]


def write_attention_page(
    path: Path,
    title: str,
    text: str,
    overview: UtterancePlot,
    layers: Sequence[Sequence[tuple[str, "NDArray[np.floating]"]]],
    metrics: Mapping[str, float | None],
    flac: bytes,
) -> None:
    """Write the page atomically.

    overview  waveform, features and the weights that stand for the model
    layers    the heads of each layer, see `head_panels`
    metrics   attention metrics by name; None for one that is not known
    """
    url = "data:audio/flac;base64," + base64.b64encode(flac).decode("ascii")
    parts: list[Section | str] = [
        f"<p>{escape(text)}</p>",
        f'<audio controls preload="metadata" aria-label="The recording" src="{url}"></audio>',
        Section("Attention", _image(overview, "Waveform, features and attention weights on one time axis")),
        Section("Metrics", _metrics(metrics)),
        Section("Layers and heads", _layers(overview, layers) if sum(map(len, layers)) > 1 else ""),
    ]
    files.write_text(path, render_page(title, parts))


def _image(plot: UtterancePlot, alt: str) -> str:
    png = render_png(plot)
    if png is None:
        return ""
    return (
        f'<div class="scroll" tabindex="0" role="group" aria-label="{escape(alt)}">'
        f'<img alt="{escape(alt)}" src="{png_data_url(png)}"></div>'
    )


def _metrics(metrics: Mapping[str, float | None]) -> str:
    columns = [Column("metric"), Column("value", "num"), Column("meaning"), Column("in trained models")]
    rows = [
        [name, "–" if value is None else f"{value:.2f}", *map(escape, METRICS[name])]
        for name, value in metrics.items()
    ]
    missing = any(value is None for value in metrics.values())
    note = '<p class="soft">–: needs a trained CTC head.</p>' if missing else ""
    return render_table(columns, rows, wide=True) + note


def _layers(overview: UtterancePlot, layers: Sequence[Sequence[tuple[str, "NDArray[np.floating]"]]]) -> str:
    """An image for each layer, closed: a page with all of them open is long."""
    marked = any(name.endswith("*") for heads in layers for name, _ in heads)
    note = '<p class="soft">*: alignment heads, whose mean is shown above.</p>' if marked else ""
    shown = []
    for number, heads in enumerate(layers, 1):
        plot = UtterancePlot(overview.seconds, outputs=overview.outputs, heads=heads)
        image = _image(plot, f"Attention weights of layer {number}, a panel for each head")
        shown.append(f"<details><summary>Layer {number}</summary>{image}</details>")
    return note + "".join(shown)
