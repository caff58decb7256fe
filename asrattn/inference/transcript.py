"""What comes out of a recognizer."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Word:
    """start and end in seconds from where the utterance begins; confidence between 0 and 1, where it is known."""

    text: str
    start: float
    end: float
    confidence: float | None = None

    def shifted(self, seconds: float) -> "Word":
        return replace(self, start=round(self.start + seconds, 3), end=round(self.end + seconds, 3))


class NBestEntry(NamedTuple):
    """One way to hear a piece: its text, the search's score, and the log-probabilities that each part of it gives."""

    text: str
    score: float
    component_scores: dict[str, float]


class TranscriptSegment(NamedTuple):
    """What the search found between two times, in seconds: its readings, best first, before `guard` doubts them."""

    start: float
    end: float
    nbest: tuple[NBestEntry, ...]


@dataclass(frozen=True)
class Transcript:
    """What was said in one file or utterance.

    id        of the utterance; for a file its path
    score     the search's score of the text, summed over the pieces of a long file
    seconds   length of the audio
    words     of the text, with their times, where they were asked for
    flags     what is to be said of it: silence, repeated, skipped, doubtful; see `guard`
    segments  into which it was cut; one, unless it is longer than 30 s
    """

    id: str
    path: Path
    text: str
    score: float
    seconds: float
    words: tuple[Word, ...] = ()
    flags: tuple[str, ...] = ()
    segments: tuple[TranscriptSegment, ...] = ()


@dataclass(frozen=True)
class Failure:
    """A file or utterance which could not be transcribed, and one line that says which and why."""

    id: str
    path: Path
    message: str


Outcome = Transcript | Failure


class Evaluation(NamedTuple):
    """The outcomes of a manifest in its order, and what they cost; joules where the platform tells them."""

    outcomes: list[Outcome]
    audio_seconds: float
    wall_seconds: float
    cpu_seconds: float
    joules: float | None = None


class AttentionMaps(NamedTuple):
    """What the decoder looked at: features (F, M) before normalisation, attention (U, T), what each row writes; and of
    each layer the attention of its heads (H, U, T)."""

    features: NDArray[np.float32]
    weights: NDArray[np.float32]
    pieces: list[str]
    layers: list[NDArray[np.float32]]
