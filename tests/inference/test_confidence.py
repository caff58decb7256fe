"""Word confidence: the fit finds the parameters that generated the data, and is calibrated on held-out words."""

import math

import numpy as np
import pytest

from asrattn.errors import CheckpointError, DataError
from asrattn.inference import confidence
from asrattn.inference.confidence import Calibration, ConfidenceFeatures
from asrattn.metrics import calibration as calibration_metrics


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
    assert calibration_metrics.expected_calibration_error(told, right) < 0.02
    raw = [confidence.uncalibrated_confidence(e) for e, _ in fresh]
    assert calibration_metrics.expected_calibration_error(
        raw, right
    ) > 2 * calibration_metrics.expected_calibration_error(told, right)
    assert calibration_metrics.normalized_cross_entropy(
        told, right
    ) > calibration_metrics.normalized_cross_entropy(raw, right)


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
    with pytest.raises(DataError, match="all words of dev are correct, or all wrong"):
        confidence.fit_calibration([(evidence, truth) for evidence, _ in made(20, TRUTH)])


def test_separable_words_have_finite_weights() -> None:
    found = [(ConfidenceFeatures(-x, -x, -x, -x), x < 1) for x in (0.1, 0.2, 0.5, 1.5, 2.0, 3.0)]
    calibration = confidence.fit_calibration(found)
    assert all(map(math.isfinite, (*calibration.weights, calibration.bias)))
    assert all((calibration(e) > 0.5) == truth for e, truth in found)


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
        with pytest.raises(CheckpointError, match="run asrattn tune-decoding again"):
            Calibration.from_plain(plain)  # type: ignore[arg-type]
