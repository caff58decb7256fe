"""Waveform, features and attention of one utterance as PNG pictures, for the report."""

import base64
import io
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from asrattn.errors import DataError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK = "#8a8f98"  # mid grey: legible on the light page and on the dark one
_HUE = (0.24, 0.47, 0.84)
_COLUMNS = 800  # of a waveform


@dataclass(frozen=True)
class UtterancePlot:
    """What can be drawn of one utterance.

    features    (F, M) log-mel or the like, None where there is none
    attention   (U, T) weights, one row an output, None where there is none
    heads       more of them, each with its name: those of every layer and head, say
    outputs     the U output tokens as text
    wave        (S,) the sound itself, None where it is not to be drawn
    words       with their begins and ends in seconds, above the waveform
    seconds     length of the utterance: the span of all time axes
    """

    seconds: float
    features: NDArray[np.floating] | None = None
    attention: NDArray[np.floating] | None = None
    outputs: Sequence[str] = ()
    heads: Sequence[tuple[str, NDArray[np.floating]]] = ()
    wave: NDArray[np.floating] | None = None
    words: Sequence[tuple[str, float, float]] = ()

    def __post_init__(self) -> None:
        for _, weights in self.attention_maps():
            if len(self.outputs) != len(weights):
                raise DataError(
                    f"a picture with {len(weights)} rows of attention needs as many outputs, not {len(self.outputs)}"
                )

    def attention_maps(self) -> list[tuple[str, NDArray[np.floating]]]:
        """All weights that there are to draw, each with its name."""
        return [*([("output", self.attention)] if self.attention is not None else []), *self.heads]


def render_png(picture: UtterancePlot) -> bytes | None:
    """The waveform above the features above the attention, on one time axis; None where there is nothing to draw."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = _panels(picture)
    if not panels:
        return None
    heights = [height for _, height in panels]
    figure = Figure(figsize=(7.6, sum(heights) + 0.5), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    figure.patch.set_alpha(0)
    grid = figure.subplots(len(panels), 1, sharex=True, squeeze=False, height_ratios=heights)
    for axes, (draw, _) in zip(grid[:, 0], panels, strict=True):
        _style_axes(axes)
        draw(axes, picture)
    axes.set_xlabel("seconds")
    return _bytes(figure)


def png_data_url(data: bytes) -> str:
    """A PNG inside the page itself."""
    return "data:image/png;base64," + base64.b64encode(data).decode("ascii")


def _panels(picture: UtterancePlot) -> list[tuple["Callable[[Axes, UtterancePlot], None]", float]]:
    """What there is to draw, each with its height in inches."""
    panels: list[tuple[Callable[[Axes, UtterancePlot], None], float]] = []
    if picture.wave is not None and picture.wave.size:
        panels.append((_draw_wave, 0.7))
    if picture.features is not None and picture.features.size:
        panels.append((_draw_features, 1.5))
    for name, weights in picture.attention_maps():
        if weights.size:
            draw = partial(_draw_attention, weights=weights, name=name)
            panels.append((draw, min(0.5 + 0.15 * len(picture.outputs), 8.0)))
    return panels


def _draw_wave(axes: "Axes", picture: UtterancePlot) -> None:
    """Its lowest and highest value in each of some hundred stretches: what no finer line could show."""
    wave = np.asarray(picture.wave, np.float32)
    parts = np.array_split(wave, min(_COLUMNS, len(wave)))
    low, high = np.array([(part.min(), part.max()) for part in parts]).T
    times = np.linspace(0, picture.seconds, len(parts))
    axes.fill_between(times, low, high, color=_HUE, linewidth=0.4)
    axes.set_yticks([])
    axes.set_ylabel("wave")
    for text, start, end in picture.words:
        for border in (start, end):
            axes.axvline(border, color=_INK, linewidth=0.6)
        place, above = ((start + end) / 2, 1.02), axes.get_xaxis_transform()
        axes.text(*place, _plain(text), transform=above, color=_INK, fontsize=7, ha="center")


def _draw_features(axes: "Axes", picture: UtterancePlot) -> None:
    features = np.asarray(picture.features, np.float32)
    low, high = np.percentile(features, [2, 99.5])  # one loud click must not pale the rest
    axes.imshow(
        features.T,
        origin="lower",
        aspect="auto",
        cmap="magma",
        vmin=low,
        vmax=max(high, low + 1e-6),
        extent=(0, picture.seconds, 0, features.shape[1]),
        interpolation="nearest",
    )
    axes.set_ylabel("feature")


def _draw_attention(axes: "Axes", picture: UtterancePlot, weights: NDArray[np.floating], name: str) -> None:
    rows = len(picture.outputs)
    axes.imshow(
        _tinted(np.asarray(weights, np.float32)),
        aspect="auto",
        extent=(0, picture.seconds, rows - 0.5, -0.5),  # outputs downwards, as they are read
        interpolation="nearest",
    )
    axes.spines[:].set(visible=True, color=_INK, alpha=0.4, linewidth=0.6)
    axes.set_yticks(range(rows), [_label(text) for text in picture.outputs], fontsize=min(8.0, 400 / rows))
    axes.tick_params(axis="y", length=0)
    axes.set_ylabel(name)


def _tinted(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """(U, T) weights as (U, T, 4) colours: one hue on whatever the page's ground is, stronger where weight is."""
    image = np.empty((*weights.shape, 4), np.float32)
    image[..., :3] = _HUE
    image[..., 3] = np.sqrt(np.clip(weights, 0, 1) / max(float(weights.max()), 1e-6)).clip(0, 1)
    return image


def _label(text: str) -> str:
    """An output as a tick label, the space visible."""
    return _plain(text.replace(" ", "␣") or "∅")


def _plain(text: str) -> str:
    """A dollar sign is not read as a formula."""
    return text.replace("$", r"\$")


def _style_axes(axes: "Axes") -> None:
    axes.patch.set_alpha(0)
    axes.spines[:].set_visible(False)
    axes.tick_params(colors=_INK, labelsize=8)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(color=_INK, fontsize=8)


def _bytes(figure: "Figure") -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # Scripts the installed fonts lack are drawn as boxes; the page beside the picture holds the text itself.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support .* natively")
        figure.savefig(buffer, format="png")
    return buffer.getvalue()
