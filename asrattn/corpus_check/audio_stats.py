"""Statistics of each utterance's audio: one pass, in several processes."""

import hashlib
import math
import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Thread
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from asrattn import audio
from asrattn.audio.interface import Wave
from asrattn.data.manifest import Utterance
from asrattn.errors import AudioError, DataError

MAX_ANALYZED_SECONDS = (
    600.0  # seconds of an utterance that are measured: hours in one file must not fill the memory
)
FRAME_SECONDS = 0.02  # seconds whose level is taken at a time
FLOOR_DB = -100.0  # dB: the level of digital silence
SPEECH_RANGE_DB = 35.0  # dB below the loud frames, where pauses begin; consonants lie up to 30 below vowels
PITCH_FRAME_SECONDS = 0.04  # seconds in which a pitch shows
PITCH_HZ = 70, 400  # of voices
MAX_PITCH_FRAMES = 200  # the loudest ones, of which the pitch is sought
CLIPPING_LEVEL = 0.99  # of full scale, or of the peak: the top, where clipped samples are
ENVELOPE_POINTS = 64  # of the outline
ENVELOPE_RANGE_DB = (
    50.0  # dB below the loudest frame, where an outline ends: what lies deeper differs between codings
)
_CHUNK = 8  # utterances that a process takes at a time


class AudioStats(NamedTuple):
    """Of one utterance's audio, the mean of its channels; levels in dB of full scale.

    rate       Hz, as it is in the file
    seconds    that there are; the rest is of the first LISTENED of them
    level      of the whole; FLOOR for digital silence
    dynamic_range  dB between the loud frames (95th percentile) and the quiet ones (5th)
    dc_offset  mean of the samples
    clipped_fraction  share of samples at the limit
    speech_seconds  seconds of the frames with speech, without pauses
    digest     of the samples: the same for the same audio, in whatever lossless format
    envelope   (BANDS,) levels along the utterance, of mean 0 and norm 1; similar audio has similar ones
    voicing    autocorrelation at the pitch of voices, up to 1: speech has vowels, also in words without pauses
    notes      what is odd about the file, a sentence each
    """

    rate: int
    channels: int
    seconds: float
    level: float
    dynamic_range: float
    dc_offset: float
    clipped_fraction: float
    speech_seconds: float
    digest: bytes
    envelope: NDArray[np.float16]
    voicing: float
    notes: tuple[str, ...] = ()


StatsOrError = AudioStats | str  # statistics, or why there are none


def measure_utterances(utterances: Sequence[Utterance], jobs: int = 1) -> Iterator[StatsOrError]:
    """The statistics of each utterance, in their order, in `jobs` processes. Raises DataError if one dies."""
    if jobs == 1 or len(utterances) <= _CHUNK:
        yield from map(measure_utterance, utterances)
        return
    pool = ProcessPoolExecutor(jobs, get_context("spawn"), _init_worker)
    try:
        yield from pool.map(measure_utterance, utterances, chunksize=_CHUNK)
    except BrokenProcessPool:
        raise DataError(
            "a process that read audio died; --jobs 1 needs less memory, and shows where"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _init_worker() -> None:
    """Ctrl-C is answered by the first process alone; where that is killed, this one ends too."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_exit_with_parent, args=[parent_process()], daemon=True).start()


def _exit_with_parent(first: BaseProcess) -> None:
    first.join()
    os.kill(os.getpid(), signal.SIGTERM)


def measure_utterance(utterance: Utterance) -> StatsOrError:
    """The statistics of an utterance's audio, or why it cannot be read."""
    path, start = Path(utterance.audio), utterance.start
    try:
        with audio.open_sound(path) as sound:
            seconds = sound.seconds if start is None else utterance.seconds
            part = (
                (None, None)
                if start is None and seconds <= MAX_ANALYZED_SECONDS
                else (start or 0.0, min(seconds, MAX_ANALYZED_SECONDS))
            )
            wave = sound.read(sound.rate, *part)
            found = measure_wave(wave, sound.rate, sound.channels)._replace(notes=sound.notes)
    except AudioError as error:
        return str(error)
    return found._replace(seconds=seconds) if seconds > MAX_ANALYZED_SECONDS else found


def measure_wave(wave: Wave, rate: int, channels: int = 1) -> AudioStats:
    """The statistics of a wave (S,), S > 0."""
    levels = frame_levels(wave, rate)
    loud, quiet = np.percentile(levels, [95, 5]).tolist()
    power = float(np.mean(np.square(wave, dtype=np.float64)))
    samples = np.rint(wave * 32768).astype(np.int32)
    return AudioStats(
        rate,
        channels,
        len(wave) / rate,
        max(FLOOR_DB, 10 * math.log10(power + 1e-12)),
        loud - quiet,
        float(wave.mean(dtype=np.float64)),
        _clipped_fraction(wave),
        FRAME_SECONDS * int((levels > max(loud - SPEECH_RANGE_DB, FLOOR_DB)).sum()),
        hashlib.blake2b(samples.tobytes(), digest_size=16).digest(),
        level_envelope(levels),
        _voicing(wave, rate),
    )


def frame_levels(wave: Wave, rate: int) -> NDArray[np.float64]:
    """(n,) dB of every FRAME, its mean left out, so that an offset is not a signal; an incomplete frame is left out."""
    width = max(1, int(FRAME_SECONDS * rate))
    frames = wave[: len(wave) // width * width] if len(wave) >= width else wave
    frames = frames.reshape(-1, min(width, len(wave)))
    power = frames.astype(np.float64).var(axis=1)
    levels: NDArray[np.float64] = np.maximum(FLOOR_DB, 10 * np.log10(power + 1e-12))
    return levels


def _voicing(wave: Wave, rate: int) -> float:
    """The third quartile, over the loudest frames, of the highest normalised autocorrelation at the pitches of voices;
    0 if the wave is too short. Vowels have 0.6 to 1, noise less than 0.4."""
    width = int(PITCH_FRAME_SECONDS * rate)
    lags = np.arange(max(1, rate // PITCH_HZ[1]), min(rate // PITCH_HZ[0], 3 * width // 4))
    if len(wave) < width or not len(lags):
        return 0.0
    starts = np.arange(0, len(wave) - width + 1, max(1, width // 2))
    frames = wave[starts[:, None] + np.arange(width)].astype(np.float64)
    frames -= frames.mean(axis=1, keepdims=True)
    loudest = np.argsort(-np.square(frames).sum(axis=1), kind="stable")[:MAX_PITCH_FRAMES]
    frames = frames[loudest]
    spectra = np.fft.rfft(frames, 2 * width)
    correlation = np.fft.irfft(np.square(np.abs(spectra)))[:, lags]
    energy = np.square(frames).cumsum(axis=1)
    head, tail = energy[:, width - 1 - lags], energy[:, -1:] - energy[:, lags - 1]
    highest = (correlation / np.sqrt(np.maximum(head * tail, 1e-12))).max(axis=1)
    return float(np.percentile(highest, 75))


def _clipped_fraction(wave: Wave) -> float:
    """The share of samples beyond full scale, or equal to their neighbour at the wave's own top: a limit cuts it flat,
    at whatever level it was recorded later on."""
    size = np.abs(wave)
    flat = (np.diff(wave) == 0) & (size[1:] >= CLIPPING_LEVEL * size.max())
    return float(max((size >= CLIPPING_LEVEL).mean(), flat.mean() if len(flat) else 0.0))


def level_envelope(levels: NDArray[np.float64]) -> NDArray[np.float16]:
    """(BANDS,) of levels (n,) in dB: their shape without their height; zeros where they are all alike."""
    places = np.linspace(0, len(levels) - 1, ENVELOPE_POINTS)
    curve = np.interp(places, np.arange(len(levels)), np.maximum(levels, levels.max() - ENVELOPE_RANGE_DB))
    curve -= curve.mean()
    norm = np.linalg.norm(curve)
    shape: NDArray[np.float16] = (curve / norm if norm else curve).astype(np.float16)
    return shape
