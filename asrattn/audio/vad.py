"""Where somebody speaks, by the sound alone."""

import warnings
from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from asrattn.audio.interface import Wave
from asrattn.errors import ConfigError

HOP_SECONDS = 0.010  # seconds that a level is measured over
THRESHOLD_FRACTION = (
    0.25  # of the way from the quietest sound to the loudest, in decibels: what lies below may be a pause
)
MIN_PAUSE_DEPTH_DB = 15.0  # decibels that a pause lies below the loudest sound at least
SILENCE_DB = -80.0  # decibels of full scale: nobody speaks below
MIN_DYNAMIC_RANGE_DB = (
    5.0  # between the quiet and the loudest places: speech always has it, steady noise has not
)

SpeechSegment = tuple[float, float]  # seconds
SpeechDetector = Callable[
    [Wave, int], list[SpeechSegment]
]  # a (S,) wave and its rate -> where speech is, in order
VADKind = Literal["level", "silero", "off"]
VAD_KINDS: tuple[VADKind, ...] = get_args(VADKind)


def make_speech_detector(kind: VADKind) -> SpeechDetector:
    """level: what is loud, as far as loudness changes; silero: a small network; off: speech may be everywhere.

    Raises ConfigError where silero is not installed.
    """
    match kind:
        case "level":
            return energy_vad
        case "silero":
            return _silero_vad()
        case "off":
            return lambda wave, rate: [(0.0, len(wave) / rate)]


def energy_vad(wave: Wave, rate: int) -> list[SpeechSegment]:
    heard = levels_db(wave, rate)
    if is_silent(heard):
        return []
    edges = find_runs(heard >= speech_threshold(heard)) * HOP_SECONDS
    return [(start, min(end, len(wave) / rate)) for start, end in edges.tolist()]


def _silero_vad() -> SpeechDetector:
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

    def find(wave: Wave, rate: int) -> list[SpeechSegment]:
        heard = torch.from_numpy(wave if rate == own else soxr.resample(wave, rate, own))
        return [(s["start"] / own, s["end"] / own) for s in get_speech_timestamps(heard, model)]

    return find


def levels_db(wave: Wave, rate: int) -> NDArray[np.float64]:
    """Decibels (L,) of each HOP, smoothed over three of them."""
    hop = round(HOP_SECONDS * rate)
    padded = np.pad(wave.astype(np.float64), (0, -len(wave) % hop))
    power = np.pad(np.square(padded).reshape(-1, hop).mean(1), 1, mode="edge")
    smooth: NDArray[np.float64] = 10 * np.log10((power[:-2] + power[1:-1] + power[2:]) / 3 + 1e-10)
    return smooth


def speech_threshold(levels: NDArray[np.float64]) -> float:
    """Decibels below which there is quiet, by the levels heard."""
    low, high = np.percentile(levels, [5, 95])
    return float(min(low + THRESHOLD_FRACTION * (high - low), high - MIN_PAUSE_DEPTH_DB))


def is_silent(levels: NDArray[np.float64]) -> bool:
    """Whether these levels are of nothing but silence, or of noise that does not change."""
    return bool(levels.max() < SILENCE_DB or levels.max() - np.percentile(levels, 10) < MIN_DYNAMIC_RANGE_DB)


def find_runs(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Where each run of True begins and ends (R, 2)."""
    return np.flatnonzero(np.diff(np.pad(mask.astype(np.int8), 1))).reshape(-1, 2)
