"""Word confidence: logistic regression on decoder and CTC log-probabilities of the tokens, fitted on dev."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from asrattn.config import JSONValue
from asrattn.errors import CheckpointError, DataError

PRIOR_WEIGHT = 1e-2  # L2 penalty per word on the weights
MAX_NEWTON_STEPS = 50


class ConfidenceFeatures(NamedTuple):
    """Features of a word: mean and minimum log-probability of its tokens, by the decoder and by CTC on their frames."""

    decoder: float
    decoder_min: float
    ctc: float
    ctc_min: float

    @classmethod
    def from_log_probs(cls, decoder: Sequence[float], ctc: Sequence[float]) -> "ConfidenceFeatures":
        return cls(sum(decoder) / len(decoder), min(decoder), sum(ctc) / len(ctc), min(ctc))


@dataclass(frozen=True)
class Calibration:
    """P(correct) = σ(weights · features + bias)."""

    weights: tuple[float, ...]
    bias: float

    def __call__(self, features: ConfidenceFeatures) -> float:
        z = sum(w * x for w, x in zip(self.weights, features, strict=True)) + self.bias
        return 1 / (1 + math.exp(-max(-50.0, min(50.0, z))))

    def to_plain(self) -> dict[str, JSONValue]:
        return {"weights": list(self.weights), "bias": self.bias}

    @classmethod
    def from_plain(cls, plain: JSONValue) -> "Calibration":
        """The inverse of `to_plain`. Raises CheckpointError for anything else."""
        match plain:
            case {"weights": [*weights], "bias": float(bias)} if len(weights) == len(
                ConfidenceFeatures._fields
            ):
                if all(isinstance(w, float) and math.isfinite(w) for w in weights):
                    return cls(tuple(float(w) for w in weights), bias)  # type: ignore[arg-type]
        raise CheckpointError(
            f"the confidence calibration is damaged: {plain!r:.80}; run asrattn tune-decoding again"
        )


def uncalibrated_confidence(features: ConfidenceFeatures) -> float:
    """Confidence without calibration: the geometric mean of decoder and CTC. Most models are overconfident."""
    return math.exp(max(-50.0, (features.decoder + features.ctc) / 2))


def fit_calibration(words: Sequence[tuple[ConfidenceFeatures, bool]]) -> Calibration:
    """The maximum a posteriori weights, by Newton's method, with a weak L2 prior (Platt 1999; for words Evermann &
    Woodland 2000). Raises DataError if all words are correct, or all are wrong."""
    correct = np.array([label for _, label in words], dtype=np.float64)
    if len(words) < 2 or correct.min() == correct.max():
        raise DataError(
            "confidence cannot be calibrated: all words of dev are correct, or all wrong; use a larger dev set"
        )
    x = np.array([features for features, _ in words])
    mean, deviation = x.mean(0), x.std(0) + 1e-6
    design = np.column_stack([(x - mean) / deviation, np.ones(len(x))])
    prior = PRIOR_WEIGHT * len(x) * np.diag([1.0] * x.shape[1] + [0.0])
    theta: NDArray[np.float64] = np.zeros(design.shape[1])
    for _ in range(MAX_NEWTON_STEPS):
        p = 1 / (1 + np.exp(-np.clip(design @ theta, -50, 50)))
        gradient = design.T @ (correct - p) - prior @ theta
        hessian = (design.T * (p * (1 - p))) @ design + prior + 1e-9 * np.eye(len(theta))
        step = np.linalg.solve(hessian, gradient)
        theta = theta + step
        if np.abs(step).max() < 1e-8:
            break
    weights = theta[:-1] / deviation
    return Calibration(tuple(map(float, weights)), float(theta[-1] - weights @ mean))


def cross_validate(
    words_by_group: Mapping[str, Sequence[tuple[ConfidenceFeatures, bool]]], folds: int = 5
) -> list[tuple[float, bool]]:
    """Confidence of each word, and whether it is correct, by a calibration that was fitted without its group (a
    speaker, or an utterance)."""
    names = sorted(words_by_group)
    result: list[tuple[float, bool]] = []
    for k in range(folds):
        others = [word for n, name in enumerate(names) if n % folds != k for word in words_by_group[name]]
        calibration = fit_calibration(others)
        own = [word for n, name in enumerate(names) if n % folds == k for word in words_by_group[name]]
        result += [(calibration(features), correct) for features, correct in own]
    return result
