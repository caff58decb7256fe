"""Pseudo-labels: a model's transcripts as training texts, without those that are probably wrong.

Training on them is sequence-level distillation (Kim & Rush 2016) of a larger model into a smaller one, or
self-training on audio without transcripts.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from asrattn import files
from asrattn.data.manifest import Utterance
from asrattn.inference.hallucination import remove_repetitions
from asrattn.inference.segmentation import MAX_SEGMENT_SECONDS
from asrattn.inference.transcript import Failure, Outcome, Transcript, Word

CONFIDENCE = "confidence"  # the tag of a kept utterance, and the reason for a dropped one


class RejectedUtterance(NamedTuple):
    """An utterance without a usable transcript.

    reason: failed, too long, empty, confidence, or a flag of the hallucination filter
    detail: the message of a failure, or the hypothesis
    """

    id: str
    reason: str
    detail: str


class PseudoLabels(NamedTuple):
    """The labelled utterances, and those left out; both in the order of the manifest."""

    kept: list[Utterance]
    dropped: list[RejectedUtterance]

    @property
    def seconds(self) -> float:
        """Of the labelled utterances."""
        return sum(u.seconds for u in self.kept)

    def counts(self) -> dict[str, int]:
        """The number of dropped utterances by reason, the most frequent first."""
        return dict(Counter(d.reason for d in self.dropped).most_common())


def select_labels(
    utterances: Iterable[Utterance], outcomes: Iterable[Outcome], min_confidence: float
) -> PseudoLabels:
    """The utterances with the text of their outcome, transcribed with words, where it is usable.

    Dropped are failures, audio that is too long for training, empty texts, flagged ones, loops of four repetitions or
    more, and texts whose words have a mean confidence below `min_confidence`. A kept utterance has this mean as its tag
    `confidence`; its speaker, times and other tags stay.
    """
    kept, dropped = [], []
    for utterance, outcome in zip(utterances, outcomes, strict=True):
        if isinstance(outcome, Failure):
            dropped.append(RejectedUtterance(utterance.id, "failed", outcome.message))
            continue
        if outcome.seconds > MAX_SEGMENT_SECONDS:
            detail = f"{outcome.seconds:.1f} s; training takes {MAX_SEGMENT_SECONDS:g} s at most, split it"
            dropped.append(RejectedUtterance(utterance.id, "too long", detail))
            continue
        confidence = _mean_confidence(outcome.words)
        if reason := _find_reason(outcome, confidence, min_confidence):
            detail = f"{confidence:.3f}: {outcome.text}" if reason == CONFIDENCE else outcome.text
            dropped.append(RejectedUtterance(utterance.id, reason, detail))
            continue
        tags = {**utterance.tags, CONFIDENCE: round(confidence, 4)}
        kept.append(replace(utterance, text=outcome.text, tags=tags))
    return PseudoLabels(kept, dropped)


def write_dropped(path: Path, dropped: Iterable[RejectedUtterance]) -> None:
    """A tab-separated list: id, reason, detail. Raises OSError."""
    files.write_text(path, "".join(f"{line}\n" for line in _lines(dropped)))


def _lines(dropped: Iterable[RejectedUtterance]) -> Iterator[str]:
    yield "\t".join(RejectedUtterance._fields)
    yield from ("\t".join(" ".join(field.split()) for field in each) for each in dropped)


def _find_reason(found: Transcript, confidence: float, min_confidence: float) -> str:
    """Why a transcript is no label; "" if it is one."""
    if found.flags:
        return found.flags[0]
    if not found.text.strip():
        return "empty"
    if _has_loop(found.text):
        return "repeated"
    return CONFIDENCE if confidence < min_confidence else ""


def _mean_confidence(words: tuple[Word, ...]) -> float:
    """0 without words."""
    return sum(word.confidence or 0.0 for word in words) / max(len(words), 1)


def _has_loop(text: str) -> bool:
    """Whether words repeat in a loop. Without CTC the hallucination filter cannot tell it from speech, and keeps it;
    as a training text it does harm."""
    words = re.findall(r"\w+", text.lower())  # spelled letters too: A-T-T-T-T
    ids = {word: number for number, word in enumerate(words)}
    row = tuple(ids[word] for word in words)
    return len(remove_repetitions(row)) < len(row)
