"""Reading a stretch of sound in pieces short enough to recognise, cut where nobody speaks."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np

from asrattn import audio
from asrattn.audio.sound import Wave
from asrattn.audio.speech import Finder, Span, by_level
from asrattn.manifest import Utterance

LONGEST = 30.0
PAUSE = 0.2  # seconds: what is quietest on the whole
SILENCE = 2.0  # seconds without speech that nobody needs to listen to
EDGE = 0.3  # seconds of quiet that are kept at either side of speech


class Stretch(NamedTuple):
    """What to recognise: a whole file, or `seconds` of it from `start`."""

    id: str
    path: Path
    start: float | None = None
    seconds: float | None = None

    @classmethod
    def of(cls, source: Path | Utterance) -> Self:
        """An utterance without a start is its whole file."""
        if isinstance(source, Utterance):
            seconds = None if source.start is None else source.seconds
            return cls(source.id, Path(source.audio), source.start, seconds)
        return cls(str(source), Path(source))


class Piece(NamedTuple):
    """A part of a stretch (S,), and whether somebody may speak in it."""

    wave: Wave
    spoken: bool = True


def read(stretch: Stretch, rate: int, longest: float = LONGEST, find: Finder = by_level) -> Iterator[Piece]:
    """Pieces at the rate which joined are the stretch; none is longer than `longest` seconds.

    What is longer is cut where nobody speaks: around SILENCE and more, which are pieces of their own, and else in the
    longest pause of what may still be read, such that no piece is shorter than a quarter of `longest`; where there is
    none, amid the quietest PAUSE. One piece is in memory at a time. Raises AudioError.
    """
    begin = stretch.start or 0.0
    left = stretch.seconds if stretch.seconds is not None else audio.info(stretch.path).seconds - begin
    if left <= longest:
        yield Piece(audio.read(stretch.path, rate, stretch.start, stretch.seconds))
        return
    while True:
        last = left <= longest
        # Without an end the last one is read to the very end of the file.
        wave = audio.read(stretch.path, rate, begin, (stretch.seconds and left) if last else longest)
        cut, spoken = _cut(wave, rate, find(wave, rate), last, left, longest)
        yield Piece(wave[:cut], spoken)
        if last and cut == len(wave):
            return
        begin += cut / rate
        left -= cut / rate


def waves(source: Path | Utterance, rate: int) -> Iterator[Wave]:
    """What a file or utterance holds, in the pieces in which it is recognised. Raises AudioError."""
    return (piece.wave for piece in read(Stretch.of(source), rate))


def _cut(
    wave: Wave, rate: int, spans: Sequence[Span], last: bool, left: float, longest: float
) -> tuple[int, bool]:
    """Where the first piece of a window ends, and whether somebody speaks in it."""
    seconds = len(wave) / rate
    if not spans:
        return (len(wave) if last else round((seconds - EDGE) * rate)), False
    if spans[0][0] > SILENCE:
        return round((spans[0][0] - EDGE) * rate), False
    gaps = [(end, start) for (_, end), (start, _) in pairwise([*spans, (seconds, seconds)])]
    for start, end in gaps:
        if end - start > SILENCE:
            return round((start + EDGE) * rate), True
    if last:
        return len(wave), True
    low, high = longest / 4, min(longest, left - longest / 4)
    within = [(max(start, low), min(end, high)) for start, end in gaps]
    length, middle = max(((end - start, (start + end) / 2) for start, end in within), default=(0.0, 0.0))
    if length >= PAUSE:
        return round(middle * rate), True
    return quietest(wave, rate, longest / 2, high), True


def quietest(wave: Wave, rate: int, low: float, high: float) -> int:
    """The sample amid the PAUSE of least energy between two times."""
    first, width = int(low * rate), int(PAUSE * rate)
    energy = np.square(wave[first : int(high * rate)], dtype=np.float64).cumsum()
    return first + int((energy[width:] - energy[:-width]).argmin()) + width // 2
