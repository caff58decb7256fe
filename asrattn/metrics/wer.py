"""Levenshtein alignment and what it counts. Counts add up over utterances and ranks; rates are taken last."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import jiwer

_BETWEEN = "\x1f"  # the unit separator: white space to str.split, so never inside a word


@dataclass(frozen=True)
class ErrorCounts:
    """What separates a hypothesis from its reference; `a + b` is defined.

    words     length of the reference, in whatever was aligned (words or characters)
    rate      errors / words, of the sum: a corpus rate, not a mean of rates. An empty reference has none: it
              is taken as one word long, so that the number stays finite, and the result line says "undefined"
    """

    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0
    hits: int = 0

    def __add__(self, other: "ErrorCounts") -> "ErrorCounts":
        return ErrorCounts(
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
            self.hits + other.hits,
        )

    @property
    def errors(self) -> int:
        return self.substitutions + self.deletions + self.insertions

    @property
    def words(self) -> int:
        return self.substitutions + self.deletions + self.hits

    @property
    def rate(self) -> float:
        return self.errors / max(self.words, 1)


class AlignedPair(NamedTuple):
    """One column of an alignment: equal, substitute, delete or insert; "" stands where a side has nothing."""

    kind: str
    reference: str
    hypothesis: str


def split_words(text: str) -> list[str]:
    """What the word error rate is taken over: the text split at white space."""
    return text.split()


def split_characters(text: str) -> list[str]:
    """What the character error rate is taken over: code points, each run of white space as one space."""
    return list(" ".join(text.split()))


def align(reference: Sequence[str], hypothesis: Sequence[str]) -> list[AlignedPair]:
    """The cheapest way from reference to hypothesis, every edit costing one (Levenshtein, 1966)."""
    pairs = []
    for chunk in _processed(reference, hypothesis).alignments[0]:
        said = reference[chunk.ref_start_idx : chunk.ref_end_idx]
        heard = hypothesis[chunk.hyp_start_idx : chunk.hyp_end_idx]
        pairs += [AlignedPair(chunk.type, a, b) for a, b in zip_longest(said, heard, fillvalue="")]
    return pairs


def count_errors(reference: Sequence[str], hypothesis: Sequence[str]) -> ErrorCounts:
    """Errors between two sequences of tokens; an empty reference is allowed and holds insertions only."""
    found = _processed(reference, hypothesis)
    return ErrorCounts(found.substitutions, found.deletions, found.insertions, found.hits)


def _processed(reference: Sequence[str], hypothesis: Sequence[str]) -> "jiwer.WordOutput":
    import jiwer

    tokens = jiwer.ReduceToListOfListOfWords(_BETWEEN)
    return jiwer.process_words(_BETWEEN.join(reference), _BETWEEN.join(hypothesis), tokens, tokens)


def count_word_errors(reference: str, hypothesis: str) -> ErrorCounts:
    return count_errors(split_words(reference), split_words(hypothesis))


def count_char_errors(reference: str, hypothesis: str) -> ErrorCounts:
    return count_errors(split_characters(reference), split_characters(hypothesis))


def sum_counts(counts: Iterable[ErrorCounts]) -> ErrorCounts:
    return sum(counts, ErrorCounts())
