"""The segment test against the two worked examples that are published, and against scipy."""

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from asrattn.metrics.mapsswe import error_segments, mapsswe_test, reference_slots

REF = "it was the best of times it was the worst of times it was"


def in_segments(reference: str, a: str, b: str) -> list[tuple[int, int]]:
    return list(error_segments([reference_slots(reference, a)], [reference_slots(reference, b)]))


def test_the_example_of_nist() -> None:
    """NIST's page on the test (2007), also in Jurafsky and Martin, Speech and Language Processing, section on MAPSSWE.

    I: a hears "its" for "it was", two errors; II: b leaves out "of"; III: a hears "is" for "was", b "won" for "was" and
    "test" for "worst"; IV: a inserts "or". So Z = {2, -1, -1, 1}: mean 1/4, variance 6.75/3, W = 1/3.
    """
    a = "its the best of times it is the worst of times or it was"
    b = "it was the best times it won the test of times it was"
    found = in_segments(REF, a, b)
    assert found == [(2, 0), (0, 1), (1, 2), (1, 0)]
    test = mapsswe_test([x - y for x, y in found])
    assert (test.segments, test.mean, test.deviation, test.w) == (4, 0.25, 1.5, pytest.approx(1 / 3))


def test_the_example_of_sc_stats() -> None:
    """SCTK, src/sclite/testdata/base_sc_stats/test1a.stats.mapsswe: 9 errors and 7 in 3 segments, mean 0.667, standard
    deviation 0.577, Z 2.000. Whole numbers of sum 2 and sum of squares 2 can only be these."""
    test = mapsswe_test([1, 1, 0])
    assert (f"{test.mean:.3f}", f"{test.deviation:.3f}", f"{test.w:.3f}") == ("0.667", "0.577", "2.000")
    assert mapsswe_test([-1, -1, 0]).w == -test.w


def test_one_correct_word_does_not_end_a_segment() -> None:
    assert in_segments("a b c d", "x b y d", "a b c d") == [(2, 0)]
    assert in_segments("a b c d", "x b c y", "a b c d") == [(1, 0), (1, 0)]


def test_both_must_hear_the_words_between() -> None:
    assert in_segments("a b c d", "x b c y", "a b z d") == [(2, 1)]


def test_words_inserted_between_correct_ones_part_them() -> None:
    assert in_segments("a b c d", "x b and c d", "a b c d") == [(2, 0)]
    assert in_segments("a b", "a b and so", "a b") == [(2, 0)]
    assert in_segments("", "and", "") == [(1, 0)]
    assert in_segments("a b", "a b", "a b") == []


texts = st.lists(st.sampled_from("abcd"), max_size=9).map(" ".join)


@given(texts, texts, texts)
def test_no_error_is_lost(reference: str, a: str, b: str) -> None:
    found = in_segments(reference, a, b)
    for side, hypothesis in ((0, a), (1, b)):
        errors = sum(s.inserted + s.wrong for s in reference_slots(reference, hypothesis))
        assert sum(pair[side] for pair in found) == errors
    assert all(sum(pair) for pair in found)


def test_many_segments_are_normal_and_few_are_students() -> None:
    many = np.random.default_rng(0).integers(-2, 4, 80).tolist()
    test = mapsswe_test(many)
    assert test.p == pytest.approx(2 * scipy.stats.norm.sf(abs(test.w)))
    few = many[:12]
    assert mapsswe_test(few).p == pytest.approx(scipy.stats.ttest_1samp(few, 0).pvalue)


def test_what_cannot_be_tested_shows_no_difference() -> None:
    assert mapsswe_test([]).p == mapsswe_test([3]).p == mapsswe_test([0, 0]).p == 1.0
    assert mapsswe_test([1, 1, 1]).w == math.inf


@pytest.mark.parametrize("differences", [[1, 1], [-2, -2, -2], [1] * 8])
def test_equal_differences_are_tested_by_their_signs(differences: list[int]) -> None:
    found = mapsswe_test(differences)
    assert abs(found.w) == math.inf
    assert found.p == pytest.approx(scipy.stats.binomtest(len(differences), len(differences)).pvalue)
