"""Calibration of word confidence: expected calibration error (ECE), normalised cross-entropy (NCE)."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from asrattn.config import JSONValue

NUM_BINS = 10  # of the expected calibration error


def expected_calibration_error(confidences: Sequence[float], correct: Sequence[bool]) -> float:
    """ECE (Naeini et al. 2015): mean difference of confidence and accuracy, over NUM_BINS bins of equal count."""
    order = np.argsort(confidences)
    p, truth = np.asarray(confidences, float)[order], np.asarray(correct, float)[order]
    bins = zip(np.array_split(p, NUM_BINS), np.array_split(truth, NUM_BINS), strict=True)
    differences = [len(a) * abs(a.mean() - b.mean()) for a, b in bins if len(a)]
    return float(sum(differences) / max(len(p), 1))


def normalized_cross_entropy(confidences: Sequence[float], correct: Sequence[bool]) -> float:
    """NCE (Siu et al. 1997): 1 is perfect, 0 as good as the accuracy alone; NaN if all words are right, or wrong."""
    p = np.clip(np.asarray(confidences, float), 1e-7, 1 - 1e-7)
    truth = np.asarray(correct, bool)
    accuracy = truth.mean() if len(truth) else 0.0
    if accuracy in (0.0, 1.0):
        return math.nan
    prior_entropy = -len(truth) * (accuracy * math.log(accuracy) + (1 - accuracy) * math.log(1 - accuracy))
    cross_entropy = -float(np.log(np.where(truth, p, 1 - p)).sum())
    return float((prior_entropy - cross_entropy) / prior_entropy)


class ConfidenceQuality(NamedTuple):
    """ECE and NCE over a number of words."""

    words: int
    calibration_error: float
    normalized_cross_entropy: float

    def line(self) -> str:
        error, entropy = 100 * self.calibration_error, self.normalized_cross_entropy
        return f"calibration error {error:.1f} %, normalised cross-entropy {entropy:.3f}, {self.words} words"

    def to_plain(self) -> dict[str, JSONValue]:
        """For JSON, which has no NaN."""
        return {n: round(v, 4) for n, v in self._asdict().items() if math.isfinite(v)}


def evaluate_confidence(word_confidences: Sequence[tuple[float, bool]]) -> ConfidenceQuality:
    """The quality of (confidence, whether the word is correct) pairs."""
    confidences, correct = [p for p, _ in word_confidences], [truth for _, truth in word_confidences]
    return ConfidenceQuality(
        len(word_confidences),
        expected_calibration_error(confidences, correct),
        normalized_cross_entropy(confidences, correct),
    )
