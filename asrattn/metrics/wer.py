"""WER and CER: Levenshtein alignment and error counts, which are summed over utterances and ranks before the rate."""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import jiwer

_BETWEEN = "\x1f"  # the unit separator: white space to str.split, so never inside a word


@dataclass(frozen=True)
class ErrorCounts:
    """Error counts of a hypothesis against its reference; `a + b` is defined.

    words     length of the reference, in the aligned units (words or characters)
    rate      errors / words of the sum: a corpus rate, not a mean of rates. An empty reference counts as one word
              here, so that the rate is finite; the result line says "undefined"
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
    """One column of an alignment: equal, substitute, delete or insert; "" for the missing side."""

    kind: str
    reference: str
    hypothesis: str


def split_words(text: str) -> list[str]:
    """The units of the WER: the text, composed (NFC), split at white space."""
    return unicodedata.normalize("NFC", text).split()


def split_characters(text: str) -> list[str]:
    """The units of the CER: code points of the composed text (NFC), with each run of white space as one space."""
    return list(" ".join(split_words(text)))


def align(reference: Sequence[str], hypothesis: Sequence[str]) -> list[AlignedPair]:
    """The cheapest alignment with edit costs of one (Levenshtein, 1966)."""
    pairs = []
    for chunk in _processed(reference, hypothesis).alignments[0]:
        ref = reference[chunk.ref_start_idx : chunk.ref_end_idx]
        hyp = hypothesis[chunk.hyp_start_idx : chunk.hyp_end_idx]
        pairs += [AlignedPair(chunk.type, a, b) for a, b in zip_longest(ref, hyp, fillvalue="")]
    return pairs


def count_errors(reference: Sequence[str], hypothesis: Sequence[str]) -> ErrorCounts:
    """Errors between two sequences of tokens; for an empty reference all are insertions."""
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
    rows = [(c.substitutions, c.deletions, c.insertions, c.hits) for c in counts]
    return ErrorCounts(*map(sum, zip(*rows, strict=True)))
