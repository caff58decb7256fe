import itertools

import numpy as np
import pytest
import scipy.stats
from numpy.typing import NDArray

from asrattn.errors import DataError
from asrattn.metrics import ErrorCounts, ScoredUtterance, compare, count_word_errors, score_utterance
from asrattn.metrics.error_changes import broken_utterances, fixed_utterances, speaker_changes, word_changes
from asrattn.metrics.seed_test import seed_test
from asrattn.metrics.significance import System, compare_to_baseline, holm_correction, randomisation_test


def system(rng: np.random.Generator, words: list[int], rate: float) -> list[ErrorCounts]:
    errors = rng.binomial(words, rate)
    return [ErrorCounts(substitutions=int(e), hits=w - int(e)) for e, w in zip(errors, words, strict=True)]


def test_a_clear_difference_is_seen() -> None:
    rng, words = np.random.default_rng(0), [10] * 200
    found = compare(system(rng, words, 0.2), system(rng, words, 0.1))
    assert found.difference == pytest.approx(-0.1, abs=0.03)
    assert found.interval[0] < found.difference < found.interval[1] < 0
    assert found.p < 0.001
    assert found.unit == "utterances"


def test_equal_systems_are_rarely_called_different() -> None:
    rng, words = np.random.default_rng(0), [6] * 100
    found = [compare(system(rng, words, 0.1), system(rng, words, 0.1), seed=i) for i in range(200)]
    assert 0.01 <= np.mean([c.p < 0.05 for c in found]) <= 0.10
    assert 0.90 <= np.mean([c.interval[0] <= 0 <= c.interval[1] for c in found]) <= 0.99


def test_a_system_against_itself_differs_in_nothing() -> None:
    counts = system(np.random.default_rng(0), [5] * 20, 0.3)
    found = compare(counts, counts)
    assert (found.difference, found.interval, found.p) == (0.0, (0.0, 0.0), 1.0)


def test_speakers_are_swapped_whole() -> None:
    rng, words = np.random.default_rng(0), [5] * 100
    names = [f"s{i % 10}" for i in range(100)]
    assert compare(system(rng, words, 0.2), system(rng, words, 0.2), names).unit == "speakers"


def test_the_randomisation_test_agrees_with_all_signs() -> None:
    differences = np.array([3, -1, 2, 2, 0, 1, -1, 4])
    sums = [abs(np.dot(signs, differences)) for signs in itertools.product((-1, 1), repeat=8)]
    exact = np.mean(np.array(sums) >= abs(differences.sum()))
    assert randomisation_test(differences, seed=0) == pytest.approx(exact, abs=0.02)


def test_different_references_cannot_be_compared() -> None:
    with pytest.raises(DataError, match="same references"):
        compare([ErrorCounts(hits=2)], [ErrorCounts(hits=3)])
    with pytest.raises(DataError, match="at least two"):
        compare([ErrorCounts(hits=2)], [ErrorCounts(hits=2)])


SAID = ["go to the end", "stop here now", "the end", "yes"]
SPEAKERS = ["ann", "ann", "bob", ""]


def heard(name: str, *runs: list[str]) -> System:
    rows = (
        tuple(
            score_utterance(f"u{i}", *pair, speaker)
            for i, (*pair, speaker) in enumerate(zip(SAID, run, SPEAKERS, strict=True))
        )
        for run in runs
    )
    return System(name, tuple(rows))


A = heard("a", ["go to end", "stop here now", "an end", "yes"])
B = heard("b", ["go to the end", "stop hear now", "the end", "yes"])


def test_words_and_utterances_that_changed_are_named() -> None:
    assert [(c.word, c.times, c.fixed, c.broken) for c in word_changes(A, B)] == [
        ("the", 2, 2, 0),
        ("here", 1, 0, 1),
    ]
    assert (fixed_utterances(A, B), broken_utterances(A, B)) == (["u0", "u2"], ["u1"])
    assert (fixed_utterances(B, A), broken_utterances(B, A)) == (["u1"], ["u0", "u2"])
    assert word_changes(A, A) == []


def test_speakers_that_changed_are_named() -> None:
    assert [(c.speaker, c.words, c.before, c.after) for c in speaker_changes(A, B)] == [("bob", 2, 0.5, 0.0)]


def test_runs_of_a_system_are_pooled() -> None:
    both = heard(
        "both",
        ["go to end", "stop here now", "an end", "yes"],
        ["go to the end", "stop hear now", "the end", "yes"],
    )
    (verdict,) = compare_to_baseline(both, [B])
    assert verdict.paired.difference == pytest.approx(1 / 10 - 1.5 / 10)
    assert [(c.word, c.fixed, c.broken) for c in word_changes(both, B)] == [("the", 1.0, 0), ("here", 0, 0.5)]
    (same,) = compare_to_baseline(heard("twice", *[[r.hypothesis for r in B.runs[0]]] * 2), [B])
    assert (same.paired.difference, same.mapsswe.mean, same.conclusion) == (0.0, 0.0, "no difference shown")


def test_p_values_are_corrected_for_their_number() -> None:
    assert holm_correction([0.01, 0.04, 0.03, 0.005]) == pytest.approx(
        [0.03, 0.06, 0.06, 0.02]
    )  # 3, then 1 and 2, 4 times
    assert holm_correction([0.5, 0.9]) == [1.0, 1.0]


def texts(rng: np.random.Generator, rate: float) -> System:
    """200 utterances of seven words, one in `1 / rate` wrong."""
    said = "a b c d e f g"
    rows = []
    for i in range(200):
        wrong = rng.random(7) < rate
        got = " ".join("x" if bad else word for word, bad in zip(said.split(), wrong, strict=True))
        rows.append(
            ScoredUtterance(f"u{i}", said, got, count_word_errors(said, got), ErrorCounts(), f"s{i % 20}")
        )
    return System(f"{rate}", (tuple(rows),))


def test_a_better_system_is_called_better_and_an_equal_one_is_not() -> None:
    rng = np.random.default_rng(0)
    better, equal, worse = compare_to_baseline(texts(rng, 0.2), [texts(rng, r) for r in (0.1, 0.2, 0.3)])
    assert (better.conclusion, equal.conclusion, worse.conclusion) == (
        "better",
        "no difference shown",
        "worse",
    )
    assert better.p_randomisation >= better.paired.p
    assert better.mapsswe.w < 0 < worse.mapsswe.w


@pytest.mark.slow
def test_equal_systems_are_called_different_in_at_most_6_of_100_cases() -> None:
    rng = np.random.default_rng(1)
    called = [
        compare_to_baseline(texts(rng, 0.1), [texts(rng, 0.1)], seed=i)[0].significant for i in range(300)
    ]
    assert np.mean(called) <= 0.06


def seeded(
    rng: np.random.Generator, name: str, hard: NDArray[np.float64], runs: int, spread: float
) -> System:
    """Runs whose rates differ by `spread` on utterances of six words that are `hard` to each system alike."""
    said = "a b c d e f"
    made = []
    for factor in np.exp(rng.normal(-spread * spread / 2, spread, runs)):
        wrong = rng.random((len(hard), 6)) < np.clip(hard * factor, 0, 1)[:, None]
        texts = (
            " ".join("x" if bad else word for word, bad in zip(said.split(), row, strict=True))
            for row in wrong
        )
        made.append(
            tuple(
                ScoredUtterance(f"u{i}", said, text, count_word_errors(said, text), ErrorCounts())
                for i, text in enumerate(texts)
            )
        )
    return System(name, tuple(made))


@pytest.mark.parametrize(("runs_a", "runs_b"), [(3, 3), (2, 5), (1, 4)])
def test_runs_of_equal_recipes_are_rarely_called_different(runs_a: int, runs_b: int) -> None:
    """Seeds 15 % apart; benchmarks.scoring draws a thousand of more kinds."""
    rng = np.random.default_rng(2)
    ps, covered, without = [], [], []
    for number in range(60):
        hard = 0.1 * rng.gamma(2, 0.5, 150)
        a, b = seeded(rng, "a", hard, runs_a, 0.15), seeded(rng, "b", hard, runs_b, 0.15)
        (found,) = compare_to_baseline(a, [b], seed=number)
        assert found.seeds is not None
        ps.append(found.seeds.p)
        covered.append(found.interval[0] <= 0 <= found.interval[1])
        without.append(found.paired.p)
        assert not found.significant or found.seeds.p < 0.05
    assert np.mean(np.array(ps) < 0.05) <= 0.12
    assert np.mean(covered) >= 0.88
    assert np.mean(np.array(without) < 0.05) > 0.12, "the utterances alone promise too much"


def test_a_better_recipe_is_found_over_seeds() -> None:
    rng = np.random.default_rng(3)
    hard = 0.1 * rng.gamma(2, 0.5, 300)
    a, b = seeded(rng, "a", 2 * hard, 3, 0.06), seeded(rng, "b", hard, 3, 0.06)
    (found,) = compare_to_baseline(a, [b])
    assert found.conclusion == "better"
    assert found.notes == []
    assert found.interval[0] < found.paired.interval[0] < found.paired.interval[1] < found.interval[1] < 0


def test_one_run_says_that_seeds_are_not_known() -> None:
    (found,) = compare_to_baseline(A, [B])
    assert (found.seeds, found.p_seeds) == (None, None)
    assert found.notes == ["one run of each system: whether other seeds would give the same is not known"]


def test_an_interval_of_no_width_is_said() -> None:
    a = heard("a", ["go to end", "stop here now", "an end", "yes"])
    alike = [
        ScoredUtterance(f"u{i}", "a b", "a", ErrorCounts(deletions=1, hits=1), ErrorCounts())
        for i in range(4)
    ]
    right = [ScoredUtterance(f"u{i}", "a b", "a b", ErrorCounts(hits=2), ErrorCounts()) for i in range(4)]
    (found,) = compare_to_baseline(System("a", (tuple(alike),)), [System("b", (tuple(right),))])
    assert found.interval == (-0.5, -0.5)
    assert "every unit differs by the same rate, so the interval has no width" in found.notes
    assert not found.significant
    (same,) = compare_to_baseline(a, [a])
    assert len(same.notes) == 1, "equal systems have an interval of no width by right"


def test_the_test_over_seeds_agrees_with_welch_where_units_tell_nothing() -> None:
    """Units all alike: only the seeds vary."""
    a, b = np.outer([10, 12, 14], np.ones(50)), np.outer([11, 16, 18], np.ones(50))
    found = seed_test(a.astype(int), b.astype(int), np.full(50, 100))
    assert found is not None
    welch = scipy.stats.ttest_ind([0.11, 0.16, 0.18], [0.10, 0.12, 0.14], equal_var=False)
    assert found.p == pytest.approx(welch.pvalue)
    assert found.interval == pytest.approx(welch.confidence_interval())


def test_the_test_over_seeds_agrees_with_a_paired_t_test_where_runs_are_equal() -> None:
    rng = np.random.default_rng(0)
    a, b = (np.tile(rng.poisson(8, 40), (3, 1)) for _ in "ab")
    found = seed_test(a, b, np.full(40, 100))
    assert found is not None
    paired = scipy.stats.ttest_rel(b[0] / 100, a[0] / 100)
    assert found.p == pytest.approx(paired.pvalue)
    assert found.interval == pytest.approx(paired.confidence_interval())
