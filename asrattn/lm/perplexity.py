"""Perplexity of a text; unknown words are counted separately."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from asrattn.lm.counts import encode_sentences
from asrattn.lm.ngram import BEGIN, UNKNOWN, NGram


class Perplexity(NamedTuple):
    """Sums over a text; they add up. Log-probabilities in nats, those of the ends of sentences included."""

    sentences: int
    words: int
    unknown: int
    log_prob: float  # of all that is known
    unknown_log_prob: float

    def __add__(self, other: "Perplexity") -> "Perplexity":  # type: ignore[override]
        return Perplexity(*(a + b for a, b in zip(self, other, strict=True)))  # type: ignore[arg-type]

    @property
    def excluding_oov(self) -> float:
        """exp of the mean loss of a known word or end; infinite for none."""
        return _perplexity(self.log_prob, self.words - self.unknown + self.sentences)

    @property
    def including_oov(self) -> float:
        """The same with unknown words, each at the probability of <unk>."""
        return _perplexity(self.log_prob + self.unknown_log_prob, self.words + self.sentences)

    def line(self, units: str) -> str:
        many = {"char": "characters", "token": "tokens"}.get(units, "words")
        with_unknown = f"   with them {self.including_oov:.2f}" if self.unknown else ""
        return (
            f"{self.sentences} sentences   {self.words} {many}   {self.unknown} unknown   "
            f"perplexity {self.excluding_oov:.2f}{with_unknown}"
        )


class TextPerplexity(NamedTuple):
    """The same over the tokens of a text, with what there is of it: so models of different tokens can be compared."""

    tokens: Perplexity
    words: int
    characters: int  # spaces among them

    @property
    def per_word(self) -> float:
        """exp of the loss for each word and end of a sentence, that of unknown tokens included."""
        return self._per(self.words)

    @property
    def per_character(self) -> float:
        """exp of the loss for each character and end of a sentence, that of unknown tokens included."""
        return self._per(self.characters)

    def line(self) -> str:
        return f"{self.tokens.line('token')}   by word {self.per_word:.2f}   by character {self.per_character:.3f}"

    def _per(self, count: int) -> float:
        total = self.tokens.log_prob + self.tokens.unknown_log_prob
        return _perplexity(total, count + self.tokens.sentences)


def perplexity(model: NGram, sentences: Iterable[Sequence[str]]) -> Perplexity:
    """Of sentences split into the model's units. Raises TextError as `encode` does."""
    ids, places = encode_sentences(sentences, model.ids)
    scores = model.score(ids, places)
    unknown = ids == UNKNOWN
    starts = ids == BEGIN
    count = int(starts.sum())
    known = float(scores[~unknown & ~starts].sum())
    return Perplexity(count, len(ids) - 2 * count, int(unknown.sum()), known, float(scores[unknown].sum()))


def _perplexity(log_prob: float, count: int) -> float:
    try:
        return math.exp(-log_prob / count)
    except (ZeroDivisionError, OverflowError):
        return math.inf
