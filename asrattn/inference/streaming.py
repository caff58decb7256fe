"""Streaming recognition: chunks of audio -> partial hypotheses, with a stable prefix (local agreement).

An utterance ends at a pause; then it is decoded as a file is. Until then its audio so far is decoded every few tenths
of a second, from its start and with a small beam: so any encoder works, also a bidirectional one. Words are stable once
two consecutive partial hypotheses agree on them (local agreement, Liu et al. 2020).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from asrattn.audio.interface import Wave
from asrattn.audio.vad import HOP_SECONDS, is_silent, levels_db, speech_threshold
from asrattn.inference.segmentation import find_quietest
from asrattn.inference.transcript import Word

STEP_SECONDS = 0.32  # of new audio between two partial hypotheses
HOLDBACK_SECONDS = 0.08  # at the end that are not decoded yet: a word may just begin there
PARTIAL_BEAM_SIZE = 4  # greedy CTC costs half as much, and one in four of its words changes
MIN_TRAILING_SILENCE_SECONDS = 0.6  # that end an utterance
LEADING_SILENCE_SECONDS = 0.3  # kept before the next utterance
MIN_SPEECH_SECONDS = 0.1  # that make an utterance


@dataclass(frozen=True)
class DecodedChunk:
    """The hypothesis of the utterance that began at `start` seconds of the stream.

    stable      words that will not change until it ends
    tentative   the words after them, by the last partial hypothesis
    final       whether it has ended: then `stable` is the final text, and `words` has its times
    """

    start: float
    stable: str
    tentative: str = ""
    final: bool = False
    words: tuple[Word, ...] = ()


class WaveDecoder(Protocol):
    """The interface of a recognizer that streaming uses."""

    rate: int
    max_segment_seconds: float

    def decode_partial(self, wave: Wave, beam_size: int) -> str: ...

    def transcribe_wave(self, wave: Wave) -> tuple[str, list[Word]]: ...

    def find_wave_error(self, wave: Wave) -> str: ...


class _LocalAgreement(NamedTuple):
    """The words of the last partial hypothesis, and the number of stable ones."""

    words: Sequence[str] = ()
    stable: int = 0

    def update(self, now: Sequence[str]) -> "_LocalAgreement":
        """Stable: the stable words so far, and those after them that both agree on, except the last, incomplete one."""
        now = [*self.words[: self.stable], *now[self.stable :]]
        agreed = self.stable
        while agreed < min(len(now), len(self.words)) - 1 and now[agreed] == self.words[agreed]:
            agreed += 1
        return _LocalAgreement(now, agreed)

    def split(self) -> tuple[Sequence[str], Sequence[str]]:
        return self.words[: self.stable], self.words[self.stable :]


class StreamingRecognizer:
    """Streaming recognition of one source: `feed` it, and `finish` at its end. Memory is bounded."""

    def __init__(self, recognizer: WaveDecoder) -> None:
        self._recognizer = recognizer
        self._rate = recognizer.rate
        self._step = round(STEP_SECONDS * recognizer.rate)
        self._start = 0  # first sample of the buffer in the stream
        self._buffer: Wave = np.zeros(0, np.float32)
        self._pending: Wave = self._buffer  # less than a step, so that the chunks' sizes do not matter
        self._agreement = _LocalAgreement()

    def feed(self, chunk: Wave) -> Iterator[DecodedChunk]:
        """(S,) samples at the model's rate, any number -> the changed hypotheses."""
        self._pending = np.concatenate([self._pending, chunk.astype(np.float32)])
        while len(self._pending) >= self._step:
            self._buffer = np.concatenate([self._buffer, self._pending[: self._step]])
            self._pending = self._pending[self._step :]
            yield from self._process_buffer()

    def finish(self) -> Iterator[DecodedChunk]:
        """The last utterance, as if a pause followed."""
        self._buffer = np.concatenate([self._buffer, self._pending])
        self._pending = self._pending[:0]
        yield from self._end_utterance(len(self._buffer))

    def _process_buffer(self) -> Iterator[DecodedChunk]:
        levels = levels_db(self._buffer, self._rate)
        loud = np.flatnonzero(levels >= speech_threshold(levels))
        if len(loud) * HOP_SECONDS < MIN_SPEECH_SECONDS or is_silent(levels):
            self._discard(len(self._buffer) - round(LEADING_SILENCE_SECONDS * self._rate))
        elif (len(levels) - 1 - loud[-1]) * HOP_SECONDS >= MIN_TRAILING_SILENCE_SECONDS:
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
