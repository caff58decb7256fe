"""MAPSSWE: matched-pairs sentence-segment word error test of two systems (Gillick and Cox, 1989; NIST's sc_stats)."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from asrattn.metrics.wer import align, split_words

_MIN_CORRECT_WORDS = 2  # consecutive words that are correct in all runs end a segment
_MIN_NORMAL_SEGMENTS = 50  # from which on w is taken as normal


class ReferenceSlot(NamedTuple):
    """A reference word in one alignment, or the end: words inserted before it, and whether it is wrong."""

    inserted: int
    wrong: bool


SlotSequence = Sequence[ReferenceSlot]


@dataclass(frozen=True)
class MAPSSWEResult:
    """Errors of b minus errors of a on the segments in which either made one.

    w    mean / (deviation / sqrt(segments)); infinite if the difference is the same in all segments
    p    two-sided; w is normal for 50 segments and more (as published); for fewer, Student's t; if the difference is
         the same in all segments, that of the sign test
    """

    segments: int
    mean: float
    deviation: float
    w: float
    p: float


def mapsswe_test(differences: Sequence[int]) -> MAPSSWEResult:
    """The test of one difference per segment."""
    n = len(differences)
    if n < 2:
        return MAPSSWEResult(n, float(sum(differences)), 0.0, 0.0, 1.0)
    mean = sum(differences) / n
    deviation = math.sqrt(sum((d - mean) ** 2 for d in differences) / (n - 1))
    w = mean / (deviation / math.sqrt(n)) if deviation else math.copysign(math.inf, mean) if mean else 0.0
    p = 2.0 ** (1 - n) if math.isinf(w) else _two_sided(w, n)
    return MAPSSWEResult(n, mean, deviation, w, p)


@lru_cache(maxsize=1 << 16)  # systems are compared to one baseline, whose texts are the same each time
def reference_slots(reference: str, hypothesis: str) -> SlotSequence:
    """An alignment: a slot for each reference word and one for the end."""
    found, inserted = [], 0
    for pair in align(split_words(reference), split_words(hypothesis)):
        if pair.kind == "insert":
            inserted += 1
        else:
            found.append(ReferenceSlot(inserted, pair.kind != "equal"))
            inserted = 0
    return (*found, ReferenceSlot(inserted, False))


def error_segments(a: Sequence[SlotSequence], b: Sequence[SlotSequence]) -> Iterator[tuple[int, int]]:
    """Errors of a and of b in each segment of an utterance, of all runs of each system together.

    A segment begins with an error and ends before two consecutive words that are correct in every run, or with the
    utterance. The correct words that NIST includes at both ends add no errors.
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
