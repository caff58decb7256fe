"""Results of a recognizer: transcripts, words, n-best lists, failures, attention maps."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Word:
    """start and end in seconds from the start of the utterance; confidence in [0, 1], or None."""

    text: str
    start: float
    end: float
    confidence: float | None = None

    def shifted(self, seconds: float) -> "Word":
        return replace(self, start=round(self.start + seconds, 3), end=round(self.end + seconds, 3))


class NBestEntry(NamedTuple):
    """A hypothesis of a segment: text, score, and the log-probability by each scorer."""

    text: str
    score: float
    component_scores: dict[str, float]


class TranscriptSegment(NamedTuple):
    """The n-best list of a segment, best first, before the hallucination filter; start and end in seconds.

    phrases   those between Whisper's own timestamps, if requested
    language  the code of the language, if it was detected
    """

    start: float
    end: float
    nbest: tuple[NBestEntry, ...]
    phrases: tuple[Word, ...] = ()
    language: str = ""


@dataclass(frozen=True)
class Transcript:
    """The transcript of one file or utterance.

    id        of the utterance; for a file its path
    score     the decoding score of the text, summed over the segments of a long file
    seconds   length of the audio
    words     of the text with their times, if requested
    flags     of the hallucination filter: silence, repeated, skipped, doubtful
    segments  one, unless the audio is longer than 30 s
    channel   of the file, from 1; None: the mean of all
    notes     what is odd about the audio, a sentence each: unread bytes, channels that cancel, samples beyond ±1
    """

    id: str
    path: Path
    text: str
    score: float
    seconds: float
    words: tuple[Word, ...] = ()
    flags: tuple[str, ...] = ()
    segments: tuple[TranscriptSegment, ...] = ()
    channel: int | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Failure:
    """A file or utterance that could not be transcribed, with one line of reason."""

    id: str
    path: Path
    message: str
    channel: int | None = None


Outcome = Transcript | Failure


class Evaluation(NamedTuple):
    """The outcomes of a manifest in its order, and their cost; joules if the platform reports them."""

    outcomes: list[Outcome]
    audio_seconds: float
    wall_seconds: float
    cpu_seconds: float
    joules: float | None = None


class AttentionMaps(NamedTuple):
    """Features (F, M) before normalisation, attention weights (U, T), the token of each row, the weights (H, U, T) of
    the heads of each layer, and (layer, head) of the alignment heads, whose mean the weights are; without them it is
    the mean over the last layer."""

    features: NDArray[np.float32]
    weights: NDArray[np.float32]
    pieces: list[str]
    layers: list[NDArray[np.float32]]
    alignment_heads: tuple[tuple[int, int], ...] = ()
