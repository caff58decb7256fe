"""n-gram models as scorers, dense and walked, against the definition of back-off; and in the beam, exhaustively."""

import math
from collections.abc import Sequence
from functools import cache

import naive
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asrattn import lm
from asrattn.errors import LMError
from asrattn.lm import automaton
from asrattn.lm.lookahead import WordScorer
from asrattn.lm.pruning import prune_entropy
from asrattn.lm.scorers import TokenScorer, build_scorer
from asrattn.text import BLANK, EOS, RESERVED, CharTokenizer

TEXTS = ["ab a", "abba", "b a ab", "ba", "a", "bb ab", "aab"]
TOKENIZER = CharTokenizer.train(["ab c"])
SENTENCES = [lm.split_units(text, "char") for text in TEXTS]


def walk(scorer, tokens: list[int]) -> list[torch.Tensor]:
    """The rows (V,) after EOS and after each token."""
    state, rows = scorer.start(1), []
    for token in [EOS, *tokens]:
        row, state = scorer.score(state, torch.tensor([token]))
        rows.append(row[0])
    return rows


@pytest.mark.parametrize("limit", [0, 1 << 23])
@pytest.mark.parametrize("kind", sorted(lm.SMOOTHINGS))
@settings(max_examples=12)
@given(text=st.text("ab c", max_size=6), order=st.integers(1, 4), threshold=st.sampled_from([0.0, 0.02, 0.3]))
def test_tokens_are_scored_as_backing_off_says(kind, limit, text, order, threshold):
    model = prune_entropy(lm.estimate(lm.count_ngrams(SENTENCES, order), kind), threshold)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(automaton, "MAX_DENSE_ENTRIES", limit)
        scorer = TokenScorer(model, TOKENIZER)
    assert (scorer.automaton_scorer.table is None) == (limit == 0)
    assert scorer.unknown == ["c"]
    names = ["<unk>"] * RESERVED + [c.replace(" ", "▁") if c != "c" else "<unk>" for c in TOKENIZER.tokens]
    tokens = [TOKENIZER.tokens.index(c) + RESERVED for c in text]
    row = ["<s>"]
    for token, scores in zip([*tokens, EOS], walk(scorer, tokens), strict=True):
        for v in (EOS, *range(2, TOKENIZER.size)):
            name = "</s>" if v == EOS else names[v]
            assert float(scores[v]) == pytest.approx(math.log(naive.prob(model, name, tuple(row))), abs=1e-5)
        assert scores[BLANK] == -torch.inf
        row.append(names[token])


def test_states_are_histories_that_matter():
    """Of the bigrams of Kneser-Ney only those that something follows: a history with </s> is none."""
    model = lm.estimate(lm.count_ngrams(SENTENCES, 3))
    found = automaton.Automaton.from_ngram(model)
    followed = {gram[:-1] for gram in naive.table(model) if gram}
    assert found.states == len(followed)


def test_a_model_that_suits_no_token_is_told():
    model = lm.estimate(lm.count_ngrams([["A", "B"]], 2))
    with pytest.raises(LMError, match="another case"):
        TokenScorer(model, TOKENIZER)


class Whole:
    """The total of a text by the definition of back-off: what a scorer's increments must add up to."""

    def __init__(self, model: lm.NGram, units: str, oov: float = 0.0):
        self.model, self.units, self.oov = model, units, oov
        self.prob = cache(lambda word, history: naive.prob(model, word, history))

    def total(self, tokens: Sequence[int]) -> float:
        total, row = 0.0, ("<s>",)
        for word in [*lm.split_units(TOKENIZER.decode(tokens), self.units), "</s>"]:
            known = word if word in self.model.ids else "<unk>"
            total += math.log(self.prob(known, row[1 - self.model.order :] if self.model.order > 1 else ()))
            if known == "<unk>" and self.units == "word":
                total += self.oov * len(word)
            row = (*row, known)
        return total


@pytest.mark.parametrize("limit", [0, 1 << 23])
@pytest.mark.parametrize("summed", [False, True])
@pytest.mark.parametrize("oov", [-1.3, 0.0, -torch.inf])
@settings(max_examples=8)
@given(
    text=st.text("abc ", max_size=9),
    order=st.integers(1, 3),
    kind=st.sampled_from(sorted(lm.SMOOTHINGS)),
    threshold=st.sampled_from([0.0, 0.05]),
)
def test_a_text_pays_what_its_words_are_worth(limit, summed, oov, text, order, kind, threshold):
    """At every place: what was paid so far, with EOS, is the word model's total; and nothing is ever earned."""
    model = prune_entropy(lm.estimate(lm.count_ngrams([t.split() for t in TEXTS], order), kind), threshold)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(automaton, "MAX_DENSE_ENTRIES", limit)
        scorer = WordScorer(model, TOKENIZER, oov=oov, summed=summed)
    whole = Whole(model, "word", oov)
    tokens = [TOKENIZER.tokens.index(c) + RESERVED for c in text]
    paid = 0.0
    for u, scores in enumerate(walk(scorer, tokens)):
        if paid > -torch.inf:
            assert paid + float(scores[EOS]) == pytest.approx(whole.total(tokens[:u]), abs=1e-4)
        assert (scores[1:] <= 1e-5).all()
        if u < len(tokens):
            paid += float(scores[tokens[u]])


@pytest.mark.parametrize("limit", [0, 1 << 23])
@pytest.mark.parametrize("summed", [False, True])
@pytest.mark.parametrize("kind", ["kneser-ney", "witten-bell"])
def test_in_a_word_the_best_or_all_of_its_words_are_foretold(limit, summed, kind, monkeypatch):
    """After "b ", which was seen: at each beginning of a word, and with leaving the tree as one more way to go on."""
    monkeypatch.setattr(automaton, "MAX_DENSE_ENTRIES", limit)
    oov = -1.3
    model = lm.estimate(lm.count_ngrams([t.split() for t in TEXTS], 2), kind)
    scorer = WordScorer(model, TOKENIZER, oov=oov, summed=summed)
    after = {w: math.log(naive.prob(model, w, ("b",))) for w in model.words if w not in ("<s>", "</s>")}
    before = math.log(naive.prob(model, "b", ("<s>",)))
    for beginning in ("a", "ab", "abb", "b"):
        text = "b " + beginning
        tokens = [TOKENIZER.tokens.index(c) + RESERVED for c in text]
        paid = sum(float(row[t]) for row, t in zip(walk(scorer, tokens), tokens, strict=False))
        ways = [p for word, p in after.items() if word.startswith(beginning)]
        ways.append(after["<unk>"] + oov * len(beginning))
        ahead = math.log(sum(map(math.exp, ways))) if summed else max(ways)
        assert paid - before == pytest.approx(ahead, abs=1e-5)


def test_a_tokenizer_that_cannot_write_words_is_told():
    model = lm.estimate(lm.count_ngrams([["A", "B"]], 2), units="word")
    with pytest.raises(LMError, match="another case"):
        build_scorer(model, TOKENIZER)
    with pytest.raises(LMError, match="the space among them"):
        build_scorer(model, CharTokenizer("AB"))
    with pytest.raises(LMError, match="not above 0"):
        build_scorer(lm.estimate(lm.count_ngrams([["a", "b"]], 2), units="word"), TOKENIZER, oov=1.0)
