"""Calibration metrics follow their formulas."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asrattn.metrics import calibration


def test_expected_error_of_two_bins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "NUM_BINS", 2)
    told, right = [0.9, 0.1, 0.3, 0.7], [True, False, True, True]
    # 0.1 and 0.3 against one of two, 0.7 and 0.9 against two of two
    assert calibration.expected_calibration_error(told, right) == pytest.approx((0.3 + 0.2) / 2)


def test_cross_entropy_by_its_formula() -> None:
    told, right = [0.8, 0.4, 0.9], [True, False, True]
    most = -(2 * math.log(2 / 3) + math.log(1 / 3))
    left = -(math.log(0.8) + math.log(0.6) + math.log(0.9))
    assert calibration.normalized_cross_entropy(told, right) == pytest.approx((most - left) / most)


def test_who_tells_the_share_of_right_words_knows_nothing() -> None:
    assert calibration.normalized_cross_entropy([0.75] * 4, [True, True, True, False]) == pytest.approx(0)
    assert math.isnan(calibration.normalized_cross_entropy([0.9], [True]))


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=60))
def test_expected_error_is_a_share(pairs: list[tuple[float, bool]]) -> None:
    assert 0 <= calibration.expected_calibration_error([p for p, _ in pairs], [t for _, t in pairs]) <= 1


def test_the_order_of_words_of_equal_confidence_does_not_matter() -> None:
    right = [True] * 80 + [False] * 20
    for order in (right, right[::-1], [i % 5 != 0 for i in range(100)]):
        assert calibration.expected_calibration_error([0.8] * 100, order) == pytest.approx(0)


@given(st.lists(st.tuples(st.sampled_from([0.2, 0.5, 0.9]), st.booleans()), max_size=60), st.randoms())
def test_expected_error_of_shuffled_words_is_the_same(
    pairs: list[tuple[float, bool]], random: random.Random
) -> None:
    def error() -> float:
        return calibration.expected_calibration_error([p for p, _ in pairs], [t for _, t in pairs])

    before = error()
    random.shuffle(pairs)
    assert error() == pytest.approx(before)
