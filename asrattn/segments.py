"""Reading a stretch of sound in pieces short enough to recognise, cut where it is quiet."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from asrattn import audio
from asrattn.audio.sound import Wave

LONGEST = 30.0
PAUSE = 0.2


class Stretch(NamedTuple):
    """What to recognise: a whole file, or `seconds` of it from `start`."""

    id: str
    path: Path
    start: float | None = None
    seconds: float | None = None


def read(stretch: Stretch, rate: int, longest: float = LONGEST) -> Iterator[Wave]:
    """Waves (S,) at the rate which joined are the stretch; none is longer than `longest` seconds.

    Cut is the middle of the quietest PAUSE in the later half of what may still be read, and such that no piece is
    shorter than a quarter of `longest`. One piece is in memory at a time. Raises AudioError.
    """
    begin = stretch.start or 0.0
    left = stretch.seconds if stretch.seconds is not None else audio.info(stretch.path).seconds - begin
    if left <= longest:
        yield audio.read(stretch.path, rate, stretch.start, stretch.seconds)
        return
    while left > longest:
        wave = audio.read(stretch.path, rate, begin, longest)
        cut = quietest(wave, rate, longest / 2, min(longest, left - longest / 4))
        yield wave[:cut]
        begin += cut / rate
        left -= cut / rate
    yield audio.read(
        stretch.path, rate, begin, stretch.seconds and left
    )  # without: to the very end of the file


def quietest(wave: Wave, rate: int, low: float, high: float) -> int:
    """The sample amid the PAUSE of least energy between two times."""
    first, width = int(low * rate), int(PAUSE * rate)
    energy = np.square(wave[first : int(high * rate)], dtype=np.float64).cumsum()
    return first + int((energy[width:] - energy[:-width]).argmin()) + width // 2
