"""Speech while it comes in: chunks of sound -> what is heard so far, and what will not change any more.

An utterance ends at a pause; then it is decoded as a file would be. Until then what there is of it is read every few
tenths of a second, from its beginning and with a small beam: so any encoder serves, a bidirectional one too. Words are
stable once two readings in a row agree on them (Liu et al. 2020: local agreement).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from asrattn.audio.interface import Wave
from asrattn.audio.vad import HOP_SECONDS, is_silent, levels_db, speech_threshold
from asrattn.inference.segmentation import find_quietest
from asrattn.inference.transcript import Word

STEP_SECONDS = 0.32  # seconds of new sound between two readings
HOLDBACK_SECONDS = 0.08  # seconds at the end that are not read yet: the word in them may just be beginning
PARTIAL_BEAM_SIZE = 4  # of readings; greedy CTC costs half, and a word in four does not stay
MIN_TRAILING_SILENCE_SECONDS = 0.6  # seconds of quiet that end an utterance
LEADING_SILENCE_SECONDS = 0.3  # seconds of quiet that are kept before the next one
MIN_SPEECH_SECONDS = 0.1  # seconds of sound that make an utterance


@dataclass(frozen=True)
class DecodedChunk:
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


class WaveDecoder(Protocol):
    """The side of a recognizer that a stream sees."""

    rate: int
    max_segment_seconds: float  # seconds that are read at once

    def decode_partial(self, wave: Wave, beam_size: int) -> str: ...

    def transcribe_wave(self, wave: Wave) -> tuple[str, list[Word]]: ...

    def find_wave_error(self, wave: Wave) -> str: ...


class _LocalAgreement(NamedTuple):
    """The words of the last reading; so many of them are stable."""

    words: Sequence[str] = ()
    stable: int = 0

    def update(self, now: Sequence[str]) -> "_LocalAgreement":
        """Stable is what was, and what both agree on behind it; not the last word, which may be growing."""
        now = [*self.words[: self.stable], *now[self.stable :]]
        agreed = self.stable
        while agreed < min(len(now), len(self.words)) - 1 and now[agreed] == self.words[agreed]:
            agreed += 1
        return _LocalAgreement(now, agreed)

    def split(self) -> tuple[Sequence[str], Sequence[str]]:
        return self.words[: self.stable], self.words[self.stable :]


class StreamingRecognizer:
    """One source of sound; `feed` it, and `finish` at its end. Memory stays flat however long it runs."""

    def __init__(self, recognizer: WaveDecoder) -> None:
        self._recognizer = recognizer
        self._rate = recognizer.rate
        self._step = round(STEP_SECONDS * recognizer.rate)
        self._start = 0  # sample of the stream that the buffer begins with
        self._buffer: Wave = np.zeros(0, np.float32)
        self._pending: Wave = self._buffer  # less than a step, so that the chunks' sizes do not matter
        self._agreement = _LocalAgreement()

    def feed(self, chunk: Wave) -> Iterator[DecodedChunk]:
        """(S,) samples at the model's rate, any number -> what has changed, if anything."""
        self._pending = np.concatenate([self._pending, chunk.astype(np.float32)])
        while len(self._pending) >= self._step:
            self._buffer = np.concatenate([self._buffer, self._pending[: self._step]])
            self._pending = self._pending[self._step :]
            yield from self._process_buffer()

    def finish(self) -> Iterator[DecodedChunk]:
        """What is left, as if a pause followed."""
        self._buffer = np.concatenate([self._buffer, self._pending])
        self._pending = self._pending[:0]
        yield from self._end_utterance(len(self._buffer))

    def _process_buffer(self) -> Iterator[DecodedChunk]:
        heard = levels_db(self._buffer, self._rate)
        loud = np.flatnonzero(heard >= speech_threshold(heard))
        if len(loud) * HOP_SECONDS < MIN_SPEECH_SECONDS or is_silent(heard):
            self._discard(len(self._buffer) - round(LEADING_SILENCE_SECONDS * self._rate))
        elif (len(heard) - 1 - loud[-1]) * HOP_SECONDS >= MIN_TRAILING_SILENCE_SECONDS:
            yield from self._end_utterance(len(self._buffer))
        elif len(self._buffer) >= (longest := self._recognizer.max_segment_seconds) * self._rate:
            yield from self._end_utterance(find_quietest(self._buffer, self._rate, longest / 2, longest))
        else:
            yield from self._decode_partial()

    def _decode_partial(self) -> Iterator[DecodedChunk]:
        wave = self._buffer[: max(0, len(self._buffer) - round(HOLDBACK_SECONDS * self._rate))]
        if self._recognizer.find_wave_error(wave):
            return
        before = self._agreement
        self._agreement = before.update(self._recognizer.decode_partial(wave, PARTIAL_BEAM_SIZE).split())
        if self._agreement.split() != before.split():
            stable, tentative = self._agreement.split()
            yield DecodedChunk(self._start / self._rate, " ".join(stable), " ".join(tentative))

    def _end_utterance(self, count: int) -> Iterator[DecodedChunk]:
        wave = self._buffer[:count]
        if len(wave) and not self._recognizer.find_wave_error(wave):
            text, words = self._recognizer.transcribe_wave(wave)
            if text or self._agreement.words:
                start = self._start / self._rate
                yield DecodedChunk(
                    start, text, final=True, words=tuple(word.shifted(start) for word in words)
                )
        self._discard(count)
        self._agreement = _LocalAgreement()

    def _discard(self, count: int) -> None:
        count = max(0, count)
        self._start += count
        self._buffer = self._buffer[count:]
