"""The matched-pairs sentence-segment word error test of two systems (Gillick and Cox, 1989; NIST's sc_stats)."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from asrattn.metrics.wer import align, split_words

_MIN_CORRECT_WORDS = 2  # words in a row that all hear correctly end a segment
_MIN_NORMAL_SEGMENTS = 50  # segments, from which on w counts as normal


class ReferenceSlot(NamedTuple):
    """A word of the reference in one alignment, or its end: words inserted before it, and whether it is wrong."""

    inserted: int
    wrong: bool


SlotSequence = Sequence[ReferenceSlot]


@dataclass(frozen=True)
class MAPSSWEResult:
    """Errors of b minus errors of a on the segments in which either made one.

    w    mean / (deviation / sqrt(segments)); infinite where the difference is the same in all segments
    p    two-sided. Published for 50 segments and more, where w is normal; below, from Student's t, as for any mean
    """

    segments: int
    mean: float
    deviation: float
    w: float
    p: float


def mapsswe_test(differences: Sequence[int]) -> MAPSSWEResult:
    """The test of one difference a segment."""
    n = len(differences)
    if n < 2:
        return MAPSSWEResult(n, float(sum(differences)), 0.0, 0.0, 1.0)
    mean = sum(differences) / n
    deviation = math.sqrt(sum((d - mean) ** 2 for d in differences) / (n - 1))
    w = mean / (deviation / math.sqrt(n)) if deviation else math.copysign(math.inf, mean) if mean else 0.0
    return MAPSSWEResult(n, mean, deviation, w, _two_sided(w, n))


def reference_slots(reference: str, hypothesis: str) -> list[ReferenceSlot]:
    """One alignment, a slot for each word of the reference and one for its end."""
    found, inserted = [], 0
    for pair in align(split_words(reference), split_words(hypothesis)):
        if pair.kind == "insert":
            inserted += 1
        else:
            found.append(ReferenceSlot(inserted, pair.kind != "equal"))
            inserted = 0
    return [*found, ReferenceSlot(inserted, False)]


def error_segments(a: Sequence[SlotSequence], b: Sequence[SlotSequence]) -> Iterator[tuple[int, int]]:
    """Errors of a and of b in each segment of an utterance, of all runs of each system together.

    A segment begins with an error and ends before two words in a row that every run hears correctly, or with the
    utterance. The correct words that NIST draws into it at both ends add no errors.
    """
    wrong_a = wrong_b = 0
    good = 0
    for at in range(len(a[0])):
        in_a, in_b = [run[at] for run in a], [run[at] for run in b]
        inserted = any(slot.inserted for slot in (*in_a, *in_b))
        if good >= _MIN_CORRECT_WORDS and wrong_a + wrong_b:
            yield wrong_a, wrong_b
            wrong_a = wrong_b = 0
        wrong_a += sum(slot.inserted + slot.wrong for slot in in_a)
        wrong_b += sum(slot.inserted + slot.wrong for slot in in_b)
        here = any(slot.wrong for slot in (*in_a, *in_b))
        good = 0 if here else 1 if inserted else good + 1
    if wrong_a + wrong_b:
        yield wrong_a, wrong_b


def _two_sided(w: float, n: int) -> float:
    if n >= _MIN_NORMAL_SEGMENTS:
        return math.erfc(abs(w) / math.sqrt(2))
    from scipy.special import stdtr

    return float(2 * stdtr(n - 1, -abs(w)))
