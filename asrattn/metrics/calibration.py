"""Calibration of word confidence: expected calibration error (ECE), normalised cross-entropy (NCE)."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from asrattn.config import JSONValue

NUM_BINS = 10  # of the expected calibration error


class CalibrationBin(NamedTuple):
    """Mean confidence, accuracy and number of the words of a bin."""

    confidence: float
    accuracy: float
    words: int


def expected_calibration_error(confidences: Sequence[float], correct: Sequence[bool]) -> float:
    """ECE (Naeini et al. 2015): mean difference of confidence and accuracy, over the bins of `calibration_bins`."""
    differences = [n * abs(sure - right) for sure, right, n in calibration_bins(confidences, correct)]
    return sum(differences) / max(len(confidences), 1)


def calibration_bins(confidences: Sequence[float], correct: Sequence[bool]) -> list[CalibrationBin]:
    """NUM_BINS bins of equal count, in ascending confidence; empty ones are left out.

    Words of equal confidence share their accuracy, so that the order of the words does not matter.
    """
    levels, level, times = np.unique(np.asarray(confidences, float), return_inverse=True, return_counts=True)
    accuracy = np.bincount(level, np.asarray(correct, float), len(levels)) / times
    parts = np.array_split(np.repeat(np.stack([levels, accuracy], axis=1), times, axis=0), NUM_BINS)
    return [CalibrationBin(float(p[:, 0].mean()), float(p[:, 1].mean()), len(p)) for p in parts if len(p)]


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
