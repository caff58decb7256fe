"""Where somebody speaks, by the sound alone."""

import warnings
from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from asrattn.audio.sound import Wave
from asrattn.errors import ConfigError

HOP = 0.010  # seconds that a level is measured over
QUIET = 0.25  # of the way from the quietest sound to the loudest, in decibels: what lies below may be a pause
DEPTH = 15.0  # decibels that a pause lies below the loudest sound at least
SILENT = -80.0  # decibels of full scale: nobody speaks below
EVEN = 5.0  # decibels between the quiet and the loudest places, which speech always has, and steady noise has not

Span = tuple[float, float]  # seconds
Finder = Callable[[Wave, int], list[Span]]  # a (S,) wave and its rate -> where speech is, in order
Kind = Literal["level", "silero", "off"]
KINDS: tuple[Kind, ...] = get_args(Kind)


def finder(kind: Kind) -> Finder:
    """level: what is loud, as far as loudness changes; silero: a small network; off: speech may be everywhere.

    Raises ConfigError where silero is not installed.
    """
    match kind:
        case "level":
            return by_level
        case "silero":
            return _silero()
        case "off":
            return lambda wave, rate: [(0.0, len(wave) / rate)]


def by_level(wave: Wave, rate: int) -> list[Span]:
    heard = levels(wave, rate)
    if silent(heard):
        return []
    edges = runs(heard >= threshold(heard)) * HOP
    return [(start, min(end, len(wave) / rate)) for start, end in edges.tolist()]


def _silero() -> Finder:
    try:
        from silero_vad import get_speech_timestamps, load_silero_vad
    except ModuleNotFoundError:
        raise ConfigError("--vad silero: needs silero-vad; pip install asrattn[vad], or take level") from None
    import soxr
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of how it is loaded
        model = load_silero_vad()
    own = 16000

    def find(wave: Wave, rate: int) -> list[Span]:
        heard = torch.from_numpy(wave if rate == own else soxr.resample(wave, rate, own))
        return [(s["start"] / own, s["end"] / own) for s in get_speech_timestamps(heard, model)]

    return find


def levels(wave: Wave, rate: int) -> NDArray[np.float64]:
    """Decibels (L,) of each HOP, smoothed over three of them."""
    hop = round(HOP * rate)
    padded = np.pad(wave.astype(np.float64), (0, -len(wave) % hop))
    power = np.pad(np.square(padded).reshape(-1, hop).mean(1), 1, mode="edge")
    smooth: NDArray[np.float64] = 10 * np.log10((power[:-2] + power[1:-1] + power[2:]) / 3 + 1e-10)
    return smooth


def threshold(heard: NDArray[np.float64]) -> float:
    """Decibels below which there is quiet, by the levels heard."""
    low, high = np.percentile(heard, [5, 95])
    return float(min(low + QUIET * (high - low), high - DEPTH))


def silent(heard: NDArray[np.float64]) -> bool:
    """Whether these levels are of nothing but silence, or of noise that does not change."""
    return bool(heard.max() < SILENT or heard.max() - np.percentile(heard, 10) < EVEN)


def runs(there: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Where each run of True begins and ends (R, 2)."""
    return np.flatnonzero(np.diff(np.pad(there.astype(np.int8), 1))).reshape(-1, 2)
