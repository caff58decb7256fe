"""N-gram counts, by sorting integers: no n-gram is ever a string or a tuple."""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from asrattn.errors import TextError
from asrattn.lm.ngram import BEGIN, END, SPECIAL_WORDS, UNKNOWN, Ints


class SentenceStream(NamedTuple):
    """Sentences in one row: ids (n,), each sentence between <s> and </s>; places (n,), 0 at <s>."""

    ids: Ints
    positions: Ints


class NGramCounts(NamedTuple):
    """The n-grams of a text as a tree (see `ngram`) and how often each occurs: counts (G,), of node 0 nothing."""

    words: tuple[str, ...]
    keys: Ints
    starts: tuple[int, ...]
    suffix: Ints
    counts: Ints


class _GrowingVocabulary(dict[str, int]):
    """Numbers new words as they come."""

    def __missing__(self, word: str) -> int:
        self[word] = number = len(self)
        return number


class _FixedVocabulary(dict[str, int]):
    def __missing__(self, word: str) -> int:
        return UNKNOWN


def encode_sentences(sentences: Iterable[Sequence[str]], ids: Mapping[str, int]) -> SentenceStream:
    """Words as numbers, UNKNOWN where they have none. Empty sentences say nothing and are passed over.

    Raises TextError where a text holds the signs of a sentence's begin or end.
    """
    return _stream(sentences, _FixedVocabulary(ids))


def count_ngrams(sentences: Iterable[Sequence[str]], order: int) -> NGramCounts:
    """All n-grams of up to `order` words, none across sentences; of fewer where no sentence is so long.

    Raises TextError where there is no text, and as `encode` does.
    """
    numbers = _GrowingVocabulary({sign: i for i, sign in enumerate(SPECIAL_WORDS)})
    ids, places = _stream(sentences, numbers)
    if not len(ids):
        raise TextError("there is no text to train a language model on; check the files")
    V = len(numbers)
    keys = [np.arange(-1, V)]
    counts = [np.append(0, np.bincount(ids, minlength=V))]
    suffix = [np.zeros(1 + V, np.int64)]
    starts = [0, 1, 1 + V]
    nodes = ids + 1
    for length in range(2, order + 1):
        at = np.flatnonzero(places >= length - 1)
        if not len(at):
            break
        wanted = nodes[at - 1] * V + ids[at]
        by = wanted.argsort()
        wanted = wanted[by]
        first = np.flatnonzero(np.append(True, wanted[1:] != wanted[:-1]))  # where each n-gram is met first
        keys.append(wanted[first])
        counts.append(np.diff(np.append(first, len(wanted))))
        suffix.append(nodes[at[by[first]]])
        nodes = np.zeros_like(nodes)
        nodes[at[by]] = starts[-1] + np.repeat(np.arange(len(first)), counts[-1])
        starts.append(starts[-1] + len(first))
    return NGramCounts(
        tuple(numbers), np.concatenate(keys), tuple(starts), np.concatenate(suffix), np.concatenate(counts)
    )


def _stream(sentences: Iterable[Sequence[str]], numbers: dict[str, int]) -> SentenceStream:
    row = array("i")
    sentence_count = 0
    for sentence in sentences:
        if sentence:
            row.append(BEGIN)
            row.extend(map(numbers.__getitem__, sentence))
            row.append(END)
            sentence_count += 1
    ids = np.frombuffer(row, np.intc).astype(np.int64) if row else np.zeros(0, np.int64)
    begins = ids == BEGIN
    if begins.sum() != sentence_count or (ids == END).sum() != sentence_count:
        raise TextError("the text holds <s> or </s>, which a language model adds by itself; remove them")
    at = np.arange(len(ids))
    return SentenceStream(ids, at - np.maximum.accumulate(np.where(begins, at, 0)))
