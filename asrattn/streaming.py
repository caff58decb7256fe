"""Speech while it comes in: chunks of sound -> what is heard so far, and what will not change any more.

An utterance ends at a pause; then it is decoded as a file would be. Until then the CTC head, which needs no text before
it, reads what there is, every few tenths of a second and from the beginning of the utterance: so any encoder serves, a
bidirectional one too. Words are stable once two readings in a row agree on them (Liu et al. 2020: local agreement).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from torch import Tensor

from asrattn.audio.sound import Wave
from asrattn.encoders import Encoded
from asrattn.search import ctc_greedy
from asrattn.segments import LONGEST, quietest
from asrattn.text import Tokenizer, clean
from asrattn.words import HOP, Word, levels, threshold

STEP = 0.32  # seconds of new sound between two readings
HOLD = 0.24  # seconds at the end that are not read yet: the word in them may just be beginning
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
    tokenizer: Tokenizer

    def encode(self, waves: Sequence[Wave]) -> tuple[Encoded, Tensor]: ...

    def read(self, wave: Wave) -> tuple[str, list[Word]]: ...

    def trouble(self, wave: Wave) -> str: ...


class Stream:
    """One source of sound; `feed` it, and `finish` at its end. Memory stays flat however long it runs."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._rate = reader.rate
        self._start = 0  # sample of the stream that the buffer begins with
        self._begin()
        self._buffer: Wave = np.zeros(0, np.float32)

    def feed(self, chunk: Wave) -> Iterator[Heard]:
        """(S,) samples at the model's rate, any number -> what has changed, if anything."""
        size = max(1, round(STEP * self._rate))
        for begin in range(0, len(chunk), size):  # the same whatever the chunks
            yield from self._take(chunk[begin : begin + size])

    def finish(self) -> Iterator[Heard]:
        """What is left, as if a pause followed."""
        yield from self._end(len(self._buffer))

    def _take(self, chunk: Wave) -> Iterator[Heard]:
        self._buffer = np.concatenate([self._buffer, chunk])
        self._unread += len(chunk)
        if self._unread < STEP * self._rate:
            return
        self._unread = 0
        heard = levels(self._buffer, self._rate)
        loud = np.flatnonzero(heard >= threshold(heard)) if len(heard) > 1 else heard[:0]
        if len(loud) * HOP < SPEECH:
            self._skip(len(self._buffer) - round(LEAD * self._rate))
        elif (len(heard) - 1 - loud[-1]) * HOP >= PAUSE:
            yield from self._end(len(self._buffer))
        elif len(self._buffer) >= LONGEST * self._rate:
            yield from self._end(quietest(self._buffer, self._rate, LONGEST / 2, LONGEST))
        else:
            yield from self._partly()

    def _partly(self) -> Iterator[Heard]:
        wave = self._buffer[: max(0, len(self._buffer) - round(HOLD * self._rate))]
        if self._reader.trouble(wave):
            return
        enc, log_probs = self._reader.encode([wave])
        tokens = ctc_greedy(log_probs, enc.lens)[0].tokens
        now = clean(self._reader.tokenizer.decode(tokens)).split()
        agreed = len(self._stable)
        while agreed < min(len(now), len(self._before)) - 1 and now[agreed] == self._before[agreed]:
            agreed += 1
        self._stable += now[len(self._stable) : agreed]
        self._before = now
        found = Heard(self._start / self._rate, " ".join(self._stable), " ".join(now[len(self._stable) :]))
        if found != self._told:
            self._told = found
            yield found

    def _end(self, count: int) -> Iterator[Heard]:
        wave = self._buffer[:count]
        if len(wave) and not self._reader.trouble(wave):
            text, words = self._reader.read(wave)
            if text:
                start = self._start / self._rate
                yield Heard(start, text, final=True, words=tuple(word.later(start) for word in words))
        self._skip(count)
        self._begin()

    def _begin(self) -> None:
        self._unread = 0
        self._stable: list[str] = []
        self._before: list[str] = []
        self._told: Heard | None = None

    def _skip(self, count: int) -> None:
        count = max(0, count)
        self._start += count
        self._buffer = self._buffer[count:]
