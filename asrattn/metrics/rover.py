"""ROVER: combination of several systems by voting on every word (Fiscus, 1997)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from asrattn.metrics.wer import split_words

NULL_WORD = ""  # in a slot where a system has no word and another has one
SUBSTITUTION_COST, GAP_COST = 4, 3  # of the alignment, as in NIST's sctk; a gap is an insertion or a deletion


class Vote(NamedTuple):
    """One system's word in a slot, or NULL_WORD; confidence in [0, 1]."""

    word: str
    confidence: float


@dataclass
class CorrespondenceSet:
    """A slot of the word transition network: the votes of the systems aligned so far, in order."""

    votes: list[Vote] = field(default_factory=list)

    def contains(self, word: str) -> bool:
        return any(vote.word == word for vote in self.votes)


def combine(systems: Sequence[Sequence[Vote]], weight: float = 1.0, null_confidence: float = 0.7) -> str:
    """The text that wins, slot by slot.

    systems          the words of each, the best system first: the others are aligned to it one after the other, and
                     in a tie the word of the first system that has one wins
    weight           Fiscus's alpha: 1 counts votes only, 0 mean confidence only
    null_confidence  the confidence of the null word
    """
    won = (_winner(slot, len(systems), weight) for slot in word_transition_network(systems, null_confidence))
    return " ".join(word for word in won if word != NULL_WORD)


def word_transition_network(
    systems: Sequence[Sequence[Vote]], null_confidence: float = 0.7
) -> list[CorrespondenceSet]:
    """The word transition network: each slot holds one vote of each system."""
    slots: list[CorrespondenceSet] = []
    for number, system in enumerate(systems):
        slots = list(_joined(slots, system, Vote(NULL_WORD, null_confidence), number))
    return slots


def votes_from_text(text: str, confidence: Sequence[float]) -> list[Vote]:
    """The words of a hypothesis with their confidence: one for each, one for all, or none known (1)."""
    words = split_words(text)
    each = confidence if len(confidence) == len(words) else [*confidence, 1.0][:1] * len(words)
    return [Vote(word, value) for word, value in zip(words, each, strict=True)]


def _winner(slot: CorrespondenceSet, n: int, weight: float) -> str:
    """Score of a word: weight * votes / n + (1 - weight) * mean confidence of those who vote for it."""

    def score(word: str) -> float:
        confidences = [vote.confidence for vote in slot.votes if vote.word == word]
        return weight * len(confidences) / n + (1 - weight) * sum(confidences) / len(confidences)

    # In a tie the first word, which is that of the first system that has one.
    words = sorted(dict.fromkeys(vote.word for vote in slot.votes), key=NULL_WORD.__eq__)
    return max(words, key=score)


def _joined(
    slots: Sequence[CorrespondenceSet], system: Sequence[Vote], none: Vote, before: int
) -> Iterable[CorrespondenceSet]:
    """The network with one more system; `before` systems have voted in each slot."""
    for slot, vote in _aligned(slots, system):
        place = slot or CorrespondenceSet([none] * before)
        yield CorrespondenceSet([*place.votes, vote or none])


def _aligned(
    slots: Sequence[CorrespondenceSet], system: Sequence[Vote]
) -> list[tuple[CorrespondenceSet | None, Vote | None]]:
    """The cheapest alignment: a word matches a slot that contains it."""
    costs = [[0] * (len(system) + 1) for _ in range(len(slots) + 1)]
    for i in range(len(slots) + 1):
        for j in range(len(system) + 1):
            if i or j:
                costs[i][j] = min(cost for cost, _, _ in _steps(costs, i, j, slots, system))
    path: list[tuple[CorrespondenceSet | None, Vote | None]] = []
    i, j = len(slots), len(system)
    while i or j:
        _, above, left = min(_steps(costs, i, j, slots, system), key=lambda step: step[0])
        path.append((slots[i - 1] if above < i else None, system[j - 1] if left < j else None))
        i, j = above, left
    return path[::-1]


def _steps(
    costs: Sequence[Sequence[int]],
    i: int,
    j: int,
    slots: Sequence[CorrespondenceSet],
    system: Sequence[Vote],
) -> list[tuple[int, int, int]]:
    """Costs of the steps to (i, j), and their origins; in a tie a substitution comes first."""
    found = []
    if i and j:
        differs = 0 if slots[i - 1].contains(system[j - 1].word) else SUBSTITUTION_COST
        found.append((costs[i - 1][j - 1] + differs, i - 1, j - 1))
    if i:
        found.append((costs[i - 1][j] + GAP_COST, i - 1, j))
    if j:
        found.append((costs[i][j - 1] + GAP_COST, i, j - 1))
    return found
