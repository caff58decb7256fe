"""Segmentation of long audio: split at pauses found by voice activity detection; long silences are separate."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from asrattn import audio
from asrattn.audio.interface import Wave
from asrattn.audio.vad import SpeechDetector, SpeechSegment, energy_vad
from asrattn.config import JSONValue
from asrattn.data.manifest import Utterance

MAX_SEGMENT_SECONDS = 30.0
MIN_SEGMENT_LIMIT_SECONDS = 3.0  # any model can recognise segments of this length
MIN_PAUSE_SECONDS = 0.2  # also the window of the quietest place
MIN_SILENCE_SECONDS = 2.0  # longer silences are not decoded
SPEECH_PAD_SECONDS = 0.3  # of silence kept on both sides of speech


def max_segment_seconds(card: Mapping[str, JSONValue]) -> float:
    """The maximum segment length of the model with this card: it was trained on hardly any longer audio."""
    known = card.get("longest_seconds")
    return (
        min(max(known, MIN_SEGMENT_LIMIT_SECONDS), MAX_SEGMENT_SECONDS)
        if isinstance(known, float)
        else MAX_SEGMENT_SECONDS
    )


class AudioRegion(NamedTuple):
    """A region to recognise: a whole file, or `seconds` of it from `start`; one channel (from 1), or their mean."""

    id: str
    path: Path
    start: float | None = None
    seconds: float | None = None
    channel: int | None = None

    @classmethod
    def from_source(cls, source: "Path | Utterance | AudioRegion") -> "AudioRegion":
        """The region of an utterance; without a start it is the whole file."""
        if isinstance(source, AudioRegion):
            return source
        if isinstance(source, Utterance):
            seconds = None if source.start is None else source.seconds
            return cls(source.id, Path(source.audio), source.start, seconds)
        return cls(str(source), Path(source))


class AudioSegment(NamedTuple):
    """A segment of a region (S,), and whether it may contain speech."""

    wave: Wave
    has_speech: bool = True


def read_segments(
    region: AudioRegion, rate: int, max_seconds: float = MAX_SEGMENT_SECONDS, vad: SpeechDetector = energy_vad
) -> Generator[AudioSegment, None, tuple[str, ...]]:
    """Consecutive segments of a region at the rate, none longer than `max_seconds`; at the end what is odd about the
    audio, a sentence each.

    Longer audio is split at silences of MIN_SILENCE_SECONDS and more, which become segments of their own, else in the
    longest pause within reach, such that no segment is shorter than a quarter of `max_seconds`; without a pause at the
    quietest place. One segment is in memory at a time. Raises AudioError.
    """
    with audio.open_sound(region.path) as sound:
        begin = region.start or 0.0
        left = region.seconds if region.seconds is not None else sound.seconds - begin
        if left <= max_seconds:
            yield AudioSegment(sound.read(rate, region.start, region.seconds, region.channel))
            return sound.notes
        while True:
            last = left <= max_seconds
            # Without an end, the last segment is read to the end of the file.
            wave = sound.read(rate, begin, (region.seconds and left) if last else max_seconds, region.channel)
            cut, has_speech = _cut(wave, rate, vad(wave, rate), last, left, max_seconds)
            yield AudioSegment(wave[:cut], has_speech)
            if last and cut == len(wave):
                return sound.notes
            begin += cut / rate
            left -= cut / rate


def read_waves(source: Path | Utterance, rate: int) -> Iterator[Wave]:
    """The waves of a file or utterance, in the segments that are recognised. Raises AudioError."""
    return (segment.wave for segment in read_segments(AudioRegion.from_source(source), rate))


def _cut(
    wave: Wave, rate: int, spans: Sequence[SpeechSegment], last: bool, left: float, longest: float
) -> tuple[int, bool]:
    """Where the first segment of a window ends, and whether it contains speech."""
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
    """The centre sample of the MIN_PAUSE_SECONDS with the least energy between two times."""
    first, width = int(low * rate), int(MIN_PAUSE_SECONDS * rate)
    energy = np.square(wave[first : int(high * rate)], dtype=np.float64).cumsum()
    return first + int((energy[width:] - energy[:-width]).argmin()) + width // 2
