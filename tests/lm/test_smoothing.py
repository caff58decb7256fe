"""Estimation against the written formulas, and whatever the text: every history's probabilities sum to one."""

import logging

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asrattn import lm
from asrattn.errors import ConfigError, TextError
from asrattn.lm.ngram import find_suffixes
from asrattn.lm.pruning import prune_entropy

DRAW = np.random.default_rng(3)
TEXT = [[f"w{int(x)}" for x in DRAW.zipf(1.6, DRAW.integers(1, 9)) % 11] for _ in range(150)]
texts = st.lists(st.lists(st.sampled_from("abcd"), max_size=6), min_size=1, max_size=8).filter(any)


def sums(model: lm.NGram) -> list[float]:
    """Σ p(w | h) over all words but <s>, for every history."""
    words = [word for word in model.words if word != "<s>"]
    return [sum(naive.prob(model, w, h) for w in words) for h in naive.histories(model)]


@pytest.mark.parametrize("kind", ["kneser-ney", "witten-bell"])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_formulas(kind, order):
    model = lm.estimate(lm.count_ngrams(TEXT, order), kind)
    truth = naive.Interpolated(TEXT, order, kind)
    for history in naive.histories(model)[::3]:
        for word in truth.words:
            assert naive.prob(model, word, history) == pytest.approx(truth.prob(word, history), rel=1e-9)


def test_kneser_ney_takes_discounts_from_the_counts_of_counts(caplog):
    """That the texts above are rich enough: where they are not, it is told."""
    with caplog.at_level(logging.INFO, "asrattn"):
        counts = lm.count_ngrams(TEXT, 2)
        lm.estimate(counts)
        assert "2-grams" not in caplog.text
        lm.estimate(lm.count_ngrams(["ab", "ba"], 2))
    assert "2-grams: " in caplog.text
    assert "0.5, 1.0, 1.5" in caplog.text


@pytest.mark.parametrize("kind", ["kneser-ney", "witten-bell"])
def test_pruning_by_count_keeps_what_is_more_frequent(kind):
    model = lm.estimate(lm.count_ngrams(TEXT, 3), kind, prune=(0, 1, 2))
    truth = naive.Interpolated(TEXT, 3, kind, limits=(0, 1, 2))
    raw = naive.occurrences(TEXT, 3)
    kept = {gram for gram in naive.table(model) if len(gram) == 3}
    assert kept == {gram for gram, c in raw[3].items() if c > 2}
    for history in naive.histories(model)[::2]:
        for word in truth.words:
            assert naive.prob(model, word, history) == pytest.approx(truth.prob(word, history), rel=1e-9)


def test_two_sentences_by_hand():
    """Text "a b", "a": c(a)=2, c(b)=1, c(</s>)=2; T = 3 words, all of 5 counts: Witten-Bell (c + 3/4) / 8."""
    model = lm.estimate(lm.count_ngrams([["a", "b"], ["a"]], 1), "witten-bell")
    probs = {word: naive.prob(model, word, ()) for word in ("a", "b", "</s>", "<unk>")}
    assert probs == pytest.approx({"a": 2.75 / 8, "b": 1.75 / 8, "</s>": 2.75 / 8, "<unk>": 0.75 / 8})
    after = lm.estimate(lm.count_ngrams([["a", "b"], ["a"]], 2), "witten-bell")
    # after a: b once, </s> once, two different: (1 + 2 · p(b)) / 4
    assert naive.prob(after, "b", ("a",)) == pytest.approx((1 + 2 * 1.75 / 8) / 4)


def test_katz_discounts_small_counts_by_good_turing():
    """r* = (r+1) n_{r+1} / n_r, d = (r*/r - A) / (1 - A), A = 6 n6/n1, from counts of counts chosen by hand."""
    sentences = [[f"{c}-{i}"] * c for c, many in enumerate([60, 25, 16, 11, 8, 4], 1) for i in range(many)]
    model = lm.estimate(lm.count_ngrams(sentences, 1), "katz")
    ends = len(sentences)
    total = sum(map(len, sentences)) + ends
    common = 6 * 4 / 60
    for c, (here, above) in enumerate(zip([60, 25, 16, 11, 8], [25, 16, 11, 8, 4], strict=True), 1):
        d = ((c + 1) * above / (c * here) - common) / (1 - common)
        assert 0 < d <= 1
        assert naive.prob(model, f"{c}-0", ()) == pytest.approx(d * c / total)
    assert naive.prob(model, "6-0", ()) == pytest.approx(6 / total)
    assert naive.prob(model, "</s>", ()) == pytest.approx(ends / total)


def test_katz_backs_off():
    """p(w | h) of what was seen is its discounted share; of the rest it is the lower order, scaled."""
    model = lm.estimate(lm.count_ngrams(TEXT, 2), "katz")
    counts = naive.occurrences(TEXT, 2)[2]
    history = ("w9",)
    seen = {gram[1] for gram in counts if gram[:1] == history}
    unseen = [word for word in naive.vocabulary(TEXT) if word not in seen]
    ratios = [naive.prob(model, w, history) / naive.prob(model, w, ()) for w in unseen]
    assert len(ratios) > 1
    assert ratios == pytest.approx([ratios[0]] * len(ratios))
    assert sum(naive.prob(model, w, history) for w in seen) < 1


@given(sentences=texts, order=st.integers(1, 4), kind=st.sampled_from(sorted(lm.SMOOTHINGS)))
def test_probabilities_sum_to_one(sentences, order, kind):
    model = lm.estimate(lm.count_ngrams(sentences, order), kind)
    assert sums(model) == pytest.approx([1.0] * len(naive.histories(model)), abs=1e-9)


@given(
    sentences=texts,
    kind=st.sampled_from(sorted(lm.SMOOTHINGS)),
    threshold=st.sampled_from([1e-4, 1e-2, 0.1, 10.0]),
    limits=st.sampled_from([(0,), (0, 1), (0, 0, 1), (0, 1, 3)]),
)
def test_pruned_models_sum_to_one_too(sentences, kind, threshold, limits):
    model = lm.estimate(lm.count_ngrams(sentences, 3), kind, limits)
    assert sums(model) == pytest.approx([1.0] * len(naive.histories(model)), abs=1e-9)
    pruned = prune_entropy(model, threshold)
    assert sums(pruned) == pytest.approx([1.0] * len(naive.histories(pruned)), abs=1e-9)
    assert set(naive.table(pruned)) <= set(naive.table(model))
    assert (find_suffixes(pruned.keys, pruned.starts, len(pruned.words)) == pruned.suffix).all()


def test_entropy_pruning_asks_what_each_loss_costs():
    """D(p ‖ p') of every bigram by its definition: the sum over all words of the history that loses it."""
    model = lm.estimate(lm.count_ngrams(TEXT, 2), "katz")
    words = [word for word in model.words if word != "<s>"]
    cost = {}
    for gram in (g for g in naive.table(model) if len(g) == 2):
        history, lost = gram[:1], gram[1]
        p = {w: naive.prob(model, w, history) for w in words}
        kept = {w for w in words if (*history, w) in naive.table(model) and w != lost}
        q = {w: naive.prob(model, w, ()) for w in words}
        scale = (1 - sum(p[w] for w in kept)) / (1 - sum(q[w] for w in kept))
        after = {w: p[w] if w in kept else scale * q[w] for w in words}
        share = naive.prob(model, history[0] if history != ("<s>",) else "</s>", ())
        cost[gram] = np.expm1(share * sum(p[w] * np.log(p[w] / after[w]) for w in words))
    threshold = float(np.median(list(cost.values())))
    pruned = prune_entropy(model, threshold)
    kept = {gram for gram in naive.table(pruned) if len(gram) == 2}
    assert kept == {gram for gram, c in cost.items() if c >= threshold}
    assert 10 < len(kept) < len(cost)


def test_perplexity_tells_unknown_words_apart():
    model = lm.estimate(lm.count_ngrams(TEXT, 3))
    sentences = [["w1", "w2", "new", "w1"], [], ["w3"]]
    found = lm.perplexity(model, sentences)
    losses = []
    for sentence in filter(None, sentences):
        row = ["<s>", *(word if word in model.ids else "<unk>" for word in sentence), "</s>"]
        losses += [-np.log(naive.prob(model, row[i], tuple(row[:i]))) for i in range(1, len(row))]
    assert (found.sentences, found.words, found.unknown) == (2, 5, 1)
    assert found.including_oov == pytest.approx(np.exp(np.mean(losses)))
    del losses[2]
    assert found.excluding_oov == pytest.approx(np.exp(np.mean(losses)))
    assert found + found == pytest.approx([2 * x for x in found])
    assert "1 unknown" in found.line("word")


def test_a_better_model_has_a_lower_perplexity():
    held_out = TEXT[100:]
    losses = [
        lm.perplexity(lm.estimate(lm.count_ngrams(TEXT[:100], n)), held_out).excluding_oov for n in (1, 2)
    ]
    uniform = len(naive.vocabulary(TEXT[:100]))
    assert losses[0] < uniform


def test_what_cannot_be_estimated_is_told():
    with pytest.raises(TextError, match="no text"):
        lm.count_ngrams([[], []], 3)
    with pytest.raises(TextError, match="adds by itself"):
        lm.count_ngrams([["a", "<s>"]], 3)
    with pytest.raises(ConfigError, match="smoothing"):
        lm.estimate(lm.count_ngrams(["ab"], 2), "good")
    for limits in ((1,), (0, 3, 2)):
        with pytest.raises(ConfigError, match="prune"):
            lm.estimate(lm.count_ngrams(["ab"], 2), prune=limits)


def test_units():
    assert lm.split_units("  Ein  Häuschen ", "word") == ["Ein", "Häuschen"]
    assert lm.split_units("a b", "char") == ["a", "▁", "b"]
    assert lm.split_units(" ", "word") == []
    with pytest.raises(TextError, match="▁"):
        lm.split_units("a▁b", "char")
