"""Speech while it comes in: chunks of sound -> what is heard so far, and what will not change any more.

An utterance ends at a pause; then it is decoded as a file would be. Until then what there is of it is read every few
tenths of a second, from its beginning and with a small beam: so any encoder serves, a bidirectional one too. Words are
stable once two readings in a row agree on them (Liu et al. 2020: local agreement).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from asrattn.audio.sound import Wave
from asrattn.audio.speech import HOP, levels, silent, threshold
from asrattn.segments import quietest
from asrattn.transcript import Word

STEP = 0.32  # seconds of new sound between two readings
HOLD = 0.08  # seconds at the end that are not read yet: the word in them may just be beginning
BEAM = 4  # of readings; greedy CTC costs half, and a word in four does not stay
PAUSE = 0.6  # seconds of quiet that end an utterance
LEAD = 0.3  # seconds of quiet that are kept before the next one
SPEECH = 0.1  # seconds of sound that make an utterance


@dataclass(frozen=True)
class Heard:
    """What is known of the utterance that began at `start` seconds of the stream.

    stable      words that will not change until it ends
    tentative   those behind them, by the last reading
    final       whether it has ended: then stable is the text as a file's would be, and words has its times
    """

    start: float
    stable: str
    tentative: str = ""
    final: bool = False
    words: tuple[Word, ...] = ()


class Reader(Protocol):
    """The side of a recognizer that a stream sees."""

    rate: int
    longest: float  # seconds that are read at once

    def glance(self, wave: Wave, beam: int) -> str: ...

    def read(self, wave: Wave) -> tuple[str, list[Word]]: ...

    def trouble(self, wave: Wave) -> str: ...


class _Reading(NamedTuple):
    """The words of the last reading; so many of them are stable."""

    words: Sequence[str] = ()
    stable: int = 0

    def then(self, now: Sequence[str]) -> "_Reading":
        """Stable is what was, and what both agree on behind it; not the last word, which may be growing."""
        now = [*self.words[: self.stable], *now[self.stable :]]
        agreed = self.stable
        while agreed < min(len(now), len(self.words)) - 1 and now[agreed] == self.words[agreed]:
            agreed += 1
        return _Reading(now, agreed)

    def split(self) -> tuple[Sequence[str], Sequence[str]]:
        return self.words[: self.stable], self.words[self.stable :]


class Stream:
    """One source of sound; `feed` it, and `finish` at its end. Memory stays flat however long it runs."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._rate = reader.rate
        self._step = round(STEP * reader.rate)
        self._start = 0  # sample of the stream that the buffer begins with
        self._buffer: Wave = np.zeros(0, np.float32)
        self._waiting: Wave = self._buffer  # less than a step, so that the chunks' sizes do not matter
        self._reading = _Reading()

    def feed(self, chunk: Wave) -> Iterator[Heard]:
        """(S,) samples at the model's rate, any number -> what has changed, if anything."""
        self._waiting = np.concatenate([self._waiting, chunk.astype(np.float32)])
        while len(self._waiting) >= self._step:
            self._buffer = np.concatenate([self._buffer, self._waiting[: self._step]])
            self._waiting = self._waiting[self._step :]
            yield from self._look()

    def finish(self) -> Iterator[Heard]:
        """What is left, as if a pause followed."""
        self._buffer = np.concatenate([self._buffer, self._waiting])
        self._waiting = self._waiting[:0]
        yield from self._end(len(self._buffer))

    def _look(self) -> Iterator[Heard]:
        heard = levels(self._buffer, self._rate)
        loud = np.flatnonzero(heard >= threshold(heard))
        if len(loud) * HOP < SPEECH or silent(heard):
            self._skip(len(self._buffer) - round(LEAD * self._rate))
        elif (len(heard) - 1 - loud[-1]) * HOP >= PAUSE:
            yield from self._end(len(self._buffer))
        elif len(self._buffer) >= (longest := self._reader.longest) * self._rate:
            yield from self._end(quietest(self._buffer, self._rate, longest / 2, longest))
        else:
            yield from self._partly()

    def _partly(self) -> Iterator[Heard]:
        wave = self._buffer[: max(0, len(self._buffer) - round(HOLD * self._rate))]
        if self._reader.trouble(wave):
            return
        before = self._reading
        self._reading = before.then(self._reader.glance(wave, BEAM).split())
        if self._reading.split() != before.split():
            stable, tentative = self._reading.split()
            yield Heard(self._start / self._rate, " ".join(stable), " ".join(tentative))

    def _end(self, count: int) -> Iterator[Heard]:
        wave = self._buffer[:count]
        if len(wave) and not self._reader.trouble(wave):
            text, words = self._reader.read(wave)
            if text or self._reading.words:
                start = self._start / self._rate
                yield Heard(start, text, final=True, words=tuple(word.later(start) for word in words))
        self._skip(count)
        self._reading = _Reading()

    def _skip(self, count: int) -> None:
        count = max(0, count)
        self._start += count
        self._buffer = self._buffer[count:]
