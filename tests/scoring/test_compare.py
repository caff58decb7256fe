import itertools

import numpy as np
import pytest

from asrattn.errors import DataError
from asrattn.scoring import ErrorCounts, compare
from asrattn.scoring.compare import randomisation_test


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
