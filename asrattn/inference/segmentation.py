"""Reading a stretch of sound in pieces short enough to recognise, cut where nobody speaks."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np

from asrattn import audio
from asrattn.audio.interface import Wave
from asrattn.audio.vad import SpeechDetector, SpeechSegment, energy_vad
from asrattn.data.manifest import Utterance

MAX_SEGMENT_SECONDS = 30.0
MIN_PAUSE_SECONDS = 0.2  # seconds: what is quietest on the whole
MIN_SILENCE_SECONDS = 2.0  # seconds without speech that nobody needs to listen to
SPEECH_PAD_SECONDS = 0.3  # seconds of quiet that are kept at either side of speech


class AudioRegion(NamedTuple):
    """What to recognise: a whole file, or `seconds` of it from `start`."""

    id: str
    path: Path
    start: float | None = None
    seconds: float | None = None

    @classmethod
    def from_source(cls, source: Path | Utterance) -> Self:
        """An utterance without a start is its whole file."""
        if isinstance(source, Utterance):
            seconds = None if source.start is None else source.seconds
            return cls(source.id, Path(source.audio), source.start, seconds)
        return cls(str(source), Path(source))


class AudioSegment(NamedTuple):
    """A part of a stretch (S,), and whether somebody may speak in it."""

    wave: Wave
    has_speech: bool = True


def read_segments(
    region: AudioRegion, rate: int, max_seconds: float = MAX_SEGMENT_SECONDS, vad: SpeechDetector = energy_vad
) -> Iterator[AudioSegment]:
    """Pieces at the rate which joined are the stretch; none is longer than `longest` seconds.

    What is longer is cut where nobody speaks: around SILENCE and more, which are pieces of their own, and else in the
    longest pause of what may still be read, such that no piece is shorter than a quarter of `longest`; where there is
    none, amid the quietest PAUSE. One piece is in memory at a time. Raises AudioError.
    """
    begin = region.start or 0.0
    left = region.seconds if region.seconds is not None else audio.info(region.path).seconds - begin
    if left <= max_seconds:
        yield AudioSegment(audio.read(region.path, rate, region.start, region.seconds))
        return
    while True:
        last = left <= max_seconds
        # Without an end the last one is read to the very end of the file.
        wave = audio.read(region.path, rate, begin, (region.seconds and left) if last else max_seconds)
        cut, spoken = _cut(wave, rate, vad(wave, rate), last, left, max_seconds)
        yield AudioSegment(wave[:cut], spoken)
        if last and cut == len(wave):
            return
        begin += cut / rate
        left -= cut / rate


def read_waves(source: Path | Utterance, rate: int) -> Iterator[Wave]:
    """What a file or utterance holds, in the pieces in which it is recognised. Raises AudioError."""
    return (piece.wave for piece in read_segments(AudioRegion.from_source(source), rate))


def _cut(
    wave: Wave, rate: int, spans: Sequence[SpeechSegment], last: bool, left: float, longest: float
) -> tuple[int, bool]:
    """Where the first piece of a window ends, and whether somebody speaks in it."""
    seconds = len(wave) / rate
    if not spans:
        return (len(wave) if last else round((seconds - SPEECH_PAD_SECONDS) * rate)), False
    if spans[0][0] > MIN_SILENCE_SECONDS:
        return round((spans[0][0] - SPEECH_PAD_SECONDS) * rate), False
    gaps = [(end, start) for (_, end), (start, _) in pairwise([*spans, (seconds, seconds)])]
    for start, end in gaps:
        if end - start > MIN_SILENCE_SECONDS:
            return round((start + SPEECH_PAD_SECONDS) * rate), True
    if last:
        return len(wave), True
    low, high = longest / 4, min(longest, left - longest / 4)
    within = [(max(start, low), min(end, high)) for start, end in gaps]
    length, middle = max(((end - start, (start + end) / 2) for start, end in within), default=(0.0, 0.0))
    if length >= MIN_PAUSE_SECONDS:
        return round(middle * rate), True
    return find_quietest(wave, rate, longest / 2, high), True


def find_quietest(wave: Wave, rate: int, low: float, high: float) -> int:
    """The sample amid the PAUSE of least energy between two times."""
    first, width = int(low * rate), int(MIN_PAUSE_SECONDS * rate)
    energy = np.square(wave[first : int(high * rate)], dtype=np.float64).cumsum()
    return first + int((energy[width:] - energy[:-width]).argmin()) + width // 2
