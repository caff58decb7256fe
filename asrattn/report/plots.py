"""Plots: waveform, features and attention weights of an utterance; trials of a sweep; beam sizes. No torch."""

import base64
import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

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
    """The plots of one utterance.

    features    (F, M) log-mel or the like, or None
    attention   (U, T) weights, one row per output token, or None
    heads       more attention weights, each with a name: those of every layer and head, for example
    outputs     the U output tokens as text
    wave        (S,) samples, or None
    words       with their start and end times in seconds, above the waveform
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
                    f"{len(weights)} rows of attention weights need as many outputs, not {len(self.outputs)}"
                )

    def attention_maps(self) -> list[tuple[str, NDArray[np.floating]]]:
        """All attention weights, each with its name."""
        return [*([("output", self.attention)] if self.attention is not None else []), *self.heads]


def render_png(plot: UtterancePlot) -> bytes | None:
    """Waveform, features and attention weights as panels on one time axis; None if there is nothing to draw."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = _panels(plot)
    if not panels:
        return None
    heights = [height for _, height in panels]
    figure = Figure(figsize=(7.6, sum(heights) + 0.5), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    figure.patch.set_alpha(0)
    grid = figure.subplots(len(panels), 1, sharex=True, squeeze=False, height_ratios=heights)
    for axes, (draw, _) in zip(grid[:, 0], panels, strict=True):
        _style_axes(axes)
        draw(axes, plot)
    axes.set_xlabel("seconds")
    return _bytes(figure)


def png_data_url(data: bytes) -> str:
    """A PNG inside the page itself."""
    return "data:image/png;base64," + base64.b64encode(data).decode("ascii")


def _panels(plot: UtterancePlot) -> list[tuple["Callable[[Axes, UtterancePlot], None]", float]]:
    """The panels to draw, each with its height in inches."""
    panels: list[tuple[Callable[[Axes, UtterancePlot], None], float]] = []
    if plot.wave is not None and plot.wave.size:
        panels.append((_draw_wave, 0.7))
    if plot.features is not None and plot.features.size:
        panels.append((_draw_features, 1.5))
    for name, weights in plot.attention_maps():
        if weights.size:
            draw = partial(_draw_attention, weights=weights, name=name)
            panels.append((draw, min(0.5 + 0.15 * len(plot.outputs), 8.0)))
    return panels


def _draw_wave(axes: "Axes", plot: UtterancePlot) -> None:
    """The minimum and maximum of each of at most _COLUMNS stretches: a finer line would not show more."""
    wave = np.asarray(plot.wave, np.float32)
    parts = np.array_split(wave, min(_COLUMNS, len(wave)))
    low, high = np.array([(part.min(), part.max()) for part in parts]).T
    times = np.linspace(0, plot.seconds, len(parts))
    axes.fill_between(times, low, high, color=_HUE, linewidth=0.4)
    axes.set_yticks([])
    axes.set_ylabel("wave")
    for text, start, end in plot.words:
        for border in (start, end):
            axes.axvline(border, color=_INK, linewidth=0.6)
        place, above = ((start + end) / 2, 1.02), axes.get_xaxis_transform()
        axes.text(*place, _plain(text), transform=above, color=_INK, fontsize=7, ha="center")


def _draw_features(axes: "Axes", plot: UtterancePlot) -> None:
    features = np.asarray(plot.features, np.float32)
    low, high = np.percentile(features, [2, 99.5])  # robust to a single loud click
    axes.imshow(
        features.T,
        origin="lower",
        aspect="auto",
        cmap="magma",
        vmin=low,
        vmax=max(high, low + 1e-6),
        extent=(0, plot.seconds, 0, features.shape[1]),
        interpolation="nearest",
    )
    axes.set_ylabel("feature")


def _draw_attention(axes: "Axes", plot: UtterancePlot, weights: NDArray[np.floating], name: str) -> None:
    rows = len(plot.outputs)
    axes.imshow(
        _tinted(np.asarray(weights, np.float32)),
        aspect="auto",
        extent=(0, plot.seconds, rows - 0.5, -0.5),  # outputs downwards, as they are read
        interpolation="nearest",
    )
    axes.spines[:].set(visible=True, color=_INK, alpha=0.4, linewidth=0.6)
    axes.set_yticks(range(rows), [_label(text) for text in plot.outputs], fontsize=min(8.0, 400 / rows))
    axes.tick_params(axis="y", length=0)
    axes.set_ylabel(name)


def _tinted(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """(U, T) weights as (U, T, 4) colours: one hue on a transparent ground, as opaque as the root of the weight is
    large. All plots have this scale, so that spread attention looks spread."""
    image = np.empty((*weights.shape, 4), np.float32)
    image[..., :3] = _HUE
    image[..., 3] = np.sqrt(np.clip(weights, 0, 1))
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
        # Characters that the fonts lack are drawn as boxes; the page beside the plot holds the text itself.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support .* natively")
        figure.savefig(buffer, format="png")
    return buffer.getvalue()


@dataclass(frozen=True)
class TrialCurve:
    """A trial of a hyper-parameter sweep.

    wer        dev WER (a fraction) by epoch
    settings   value by name
    complete   False if it was pruned
    """

    wer: Mapping[int, float]
    settings: Mapping[str, Any]
    complete: bool = True


def plot_trials(path: Path, trials: Sequence[TrialCurve], log_scaled: Mapping[str, bool]) -> None:
    """WER over the epochs of each trial, and its lowest WER over every setting in `log_scaled`, as a PNG.

    The first trial is the best one. log_scaled: for each setting, whether its axis is logarithmic.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator

    shown = [(trial, _trial_style(trial, best=not at)) for at, trial in enumerate(trials) if trial.wer]
    with mpl.rc_context({"axes.spines.top": False, "axes.spines.right": False, "font.size": 9}):
        figure = Figure(figsize=(3.2 * (len(log_scaled) + 1), 3), layout="constrained")
        curves, *panels = figure.subplots(1, len(log_scaled) + 1, sharey=True)
        for trial, style in shown:
            epochs = sorted(trial.wer)
            curves.plot(epochs, [100 * trial.wer[epoch] for epoch in epochs], **style)
        highest = 110 * max(min(1.0, *trial.wer.values()) for trial, _ in shown)
        curves.set(xlabel="epoch", ylabel="dev WER in %", ylim=(0, highest))
        for (name, logarithmic), axes in zip(log_scaled.items(), panels, strict=True):
            for trial, style in shown:
                axes.plot(trial.settings[name], 100 * min(trial.wer.values()), marker="o", ls="", **style)
            if logarithmic:
                axes.set_xscale("log")
                axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
                axes.xaxis.set_major_formatter("{x:g}")
                axes.xaxis.set_minor_formatter("")
            axes.set_xlabel(name)
        figure.savefig(path, dpi=120)


def _trial_style(trial: TrialCurve, best: bool) -> dict[str, Any]:
    """The best trial stands out; pruned ones are pale."""
    if best:
        return {"color": "#d1495b", "zorder": 3, "lw": 2}
    return {"color": "#00798c", "alpha": 0.9 if trial.complete else 0.3, "lw": 1}


class BeamPoint(NamedTuple):
    """A beam size with its cost in CPU-seconds per second of audio and its dev WER (a fraction)."""

    beam_size: int
    rtf: float
    wer: float


def plot_beam_sizes(
    path: Path, points: Sequence[BeamPoint], chosen: BeamPoint, max_rtf: float | None
) -> None:
    """Dev WER over the cost of each beam size, as an SVG; the chosen one is marked, and the budget `max_rtf`."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.6), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.subplots()
    axes.plot([p.rtf for p in points], [100 * p.wer for p in points], ".-", color="C0")
    axes.plot(chosen.rtf, 100 * chosen.wer, "o", color="C3", label="chosen")
    for point in points:
        place = (point.rtf, 100 * point.wer)
        axes.annotate(str(point.beam_size), place, (0, 5), textcoords="offset points", fontsize=8)
    if max_rtf is not None:
        axes.axvline(max_rtf, linestyle=":", color="0.5", label="budget")
    axes.set(xlabel="CPU-seconds a second of audio", ylabel="dev WER, %", title="Beam size")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
    figure.savefig(path, format="svg", metadata={"Date": None})
