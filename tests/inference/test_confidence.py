"""How likely a word is right: the fit finds what the data was made with, the measures follow their formulas."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asrattn.errors import CheckpointError, DataError
from asrattn.inference import confidence
from asrattn.inference.confidence import Calibration, ConfidenceFeatures


def made(count: int, truth: Calibration, seed: int = 0) -> list[tuple[ConfidenceFeatures, bool]]:
    """Words which are right with the probability that `truth` gives."""
    random = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        about = ConfidenceFeatures(*(-random.gamma(1.0, scale) for scale in (0.3, 1.0, 0.5, 2.0)))
        found.append((about, bool(random.random() < truth(about))))
    return found


TRUTH = Calibration((2.0, 0.5, 1.0, 0.1), 2.5)


def test_evidence_is_mean_and_least() -> None:
    assert ConfidenceFeatures.from_log_probs([-1.0, -3.0], [-0.5]) == (-2.0, -3.0, -0.5, -0.5)


def test_the_fit_finds_the_truth_and_is_calibrated_on_what_it_has_not_seen() -> None:
    calibration = confidence.fit_calibration(made(6000, TRUTH))
    fresh = made(6000, TRUTH, seed=1)
    told, right = [calibration(e) for e, _ in fresh], [truth for _, truth in fresh]
    assert np.abs(np.array(told) - [TRUTH(e) for e, _ in fresh]).mean() < 0.02
    assert confidence.expected_calibration_error(told, right) < 0.02
    raw = [confidence.uncalibrated_confidence(e) for e, _ in fresh]
    assert confidence.expected_calibration_error(raw, right) > 2 * confidence.expected_calibration_error(
        told, right
    )
    assert confidence.normalized_cross_entropy(told, right) > confidence.normalized_cross_entropy(raw, right)


def test_the_likelihood_has_its_top_there() -> None:
    found = made(300, TRUTH)
    calibration = confidence.fit_calibration(found)

    def likelihood(c: Calibration) -> float:
        """With the prior of the fit, on weights of evidence of spread 1."""
        spread = np.std([e for e, _ in found], axis=0) + 1e-6
        prior = confidence.PRIOR_WEIGHT * len(found) * np.square(np.array(c.weights) * spread).sum() / 2
        return sum(math.log(c(e) if truth else 1 - c(e)) for e, truth in found) - float(prior)

    best = likelihood(calibration)
    for i in range(4):
        for change in (-0.02, 0.02):
            weights = tuple(w + change * (i == j) for j, w in enumerate(calibration.weights))
            assert likelihood(Calibration(weights, calibration.bias)) < best
    assert likelihood(Calibration(calibration.weights, calibration.bias + 0.02)) < best


@pytest.mark.parametrize("truth", [True, False])
def test_nothing_can_be_learned_where_all_words_are_alike(truth: bool) -> None:
    with pytest.raises(DataError, match="all are right, or all wrong"):
        confidence.fit_calibration([(evidence, truth) for evidence, _ in made(20, TRUTH)])


def test_separable_words_have_finite_weights() -> None:
    found = [(ConfidenceFeatures(-x, -x, -x, -x), x < 1) for x in (0.1, 0.2, 0.5, 1.5, 2.0, 3.0)]
    calibration = confidence.fit_calibration(found)
    assert all(map(math.isfinite, (*calibration.weights, calibration.bias)))
    assert all((calibration(e) > 0.5) == truth for e, truth in found)


class TestMeasures:
    def test_expected_error_of_two_bins(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(confidence, "NUM_BINS", 2)
        told, right = [0.9, 0.1, 0.3, 0.7], [True, False, True, True]
        # 0.1 and 0.3 against one of two, 0.7 and 0.9 against two of two
        assert confidence.expected_calibration_error(told, right) == pytest.approx((0.3 + 0.2) / 2)

    def test_cross_entropy_by_its_formula(self) -> None:
        told, right = [0.8, 0.4, 0.9], [True, False, True]
        most = -(2 * math.log(2 / 3) + math.log(1 / 3))
        left = -(math.log(0.8) + math.log(0.6) + math.log(0.9))
        assert confidence.normalized_cross_entropy(told, right) == pytest.approx((most - left) / most)

    def test_who_tells_the_share_of_right_words_knows_nothing(self) -> None:
        assert confidence.normalized_cross_entropy([0.75] * 4, [True, True, True, False]) == pytest.approx(0)
        assert math.isnan(confidence.normalized_cross_entropy([0.9], [True]))

    @given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=60))
    def test_expected_error_is_a_share(self, pairs: list[tuple[float, bool]]) -> None:
        assert 0 <= confidence.expected_calibration_error([p for p, _ in pairs], [t for _, t in pairs]) <= 1


def test_held_out_words_are_judged_once_by_a_calibration_of_others() -> None:
    words = made(200, TRUTH)
    groups = {str(i): words[i::8] for i in range(8)}
    told = confidence.cross_validate(groups)
    assert sorted(truth for _, truth in told) == sorted(truth for _, truth in words)
    own = confidence.fit_calibration(words)
    assert {p for p, _ in told}.isdisjoint({own(e) for e, _ in words})


class TestPlain:
    def test_there_and_back(self) -> None:
        assert Calibration.from_plain(TRUTH.to_plain()) == TRUTH

    @pytest.mark.parametrize(
        "plain",
        [None, [], {"weights": [1.0], "bias": 0.0}, {"weights": [1.0, 2.0, 3.0, math.nan], "bias": 0.0}],
    )
    def test_anything_else_is_told(self, plain: object) -> None:
        with pytest.raises(CheckpointError, match="tune the model again"):
            Calibration.from_plain(plain)  # type: ignore[arg-type]
