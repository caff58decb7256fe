"""How likely a word is right: a small logistic model on what decoder and CTC say of its tokens, fitted on dev."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from asrattn.config import JSONValue
from asrattn.errors import CheckpointError, DataError

PRIOR_WEIGHT = 1e-2  # of the squared weights: what few words say is not taken at its word
MAX_NEWTON_STEPS = 50
NUM_BINS = 10  # of the expected calibration error


class ConfidenceFeatures(NamedTuple):
    """Of a word: mean and least log-probability of its tokens, by the decoder and by CTC on their frames."""

    decoder: float
    decoder_min: float
    ctc: float
    ctc_min: float

    @classmethod
    def from_log_probs(cls, decoder: Sequence[float], ctc: Sequence[float]) -> "ConfidenceFeatures":
        return cls(sum(decoder) / len(decoder), min(decoder), sum(ctc) / len(ctc), min(ctc))


@dataclass(frozen=True)
class Calibration:
    """P(right) = σ(weights · evidence + bias)."""

    weights: tuple[float, ...]
    bias: float

    def __call__(self, features: ConfidenceFeatures) -> float:
        z = sum(w * x for w, x in zip(self.weights, features, strict=True)) + self.bias
        return 1 / (1 + math.exp(-max(-50.0, min(50.0, z))))

    def to_plain(self) -> dict[str, JSONValue]:
        return {"weights": list(self.weights), "bias": self.bias}

    @classmethod
    def from_plain(cls, plain: JSONValue) -> "Calibration":
        """Raises CheckpointError for anything but what `to_plain` gives."""
        match plain:
            case {"weights": [*weights], "bias": float(bias)} if len(weights) == len(
                ConfidenceFeatures._fields
            ):
                if all(isinstance(w, float) and math.isfinite(w) for w in weights):
                    return cls(tuple(float(w) for w in weights), bias)  # type: ignore[arg-type]
        raise CheckpointError(
            f"the calibration of the confidences is damaged: {plain!r:.80}; tune the model again"
        )


def uncalibrated_confidence(features: ConfidenceFeatures) -> float:
    """Without a calibration: the geometric mean of what both say. Most models are surer than they should be."""
    return math.exp(max(-50.0, (features.decoder + features.ctc) / 2))


def fit_calibration(found: Sequence[tuple[ConfidenceFeatures, bool]]) -> Calibration:
    """The likeliest weights, by Newton's method, with a weak prior towards none (Platt 1999; for words Evermann &
    Woodland 2000). Raises DataError where all words are right, or all are wrong."""
    right = np.array([truth for _, truth in found], dtype=np.float64)
    if len(found) < 2 or right.min() == right.max():
        raise DataError(
            "confidence cannot be learned: of the words heard all are right, or all wrong; use a larger dev set"
        )
    x = np.array([evidence for evidence, _ in found])
    middle, spread = x.mean(0), x.std(0) + 1e-6
    design = np.column_stack([(x - middle) / spread, np.ones(len(x))])
    prior = PRIOR_WEIGHT * len(x) * np.diag([1.0] * x.shape[1] + [0.0])
    theta: NDArray[np.float64] = np.zeros(design.shape[1])
    for _ in range(MAX_NEWTON_STEPS):
        p = 1 / (1 + np.exp(-np.clip(design @ theta, -50, 50)))
        slope = design.T @ (right - p) - prior @ theta
        bend = (design.T * (p * (1 - p))) @ design + prior + 1e-9 * np.eye(len(theta))
        step = np.linalg.solve(bend, slope)
        theta = theta + step
        if np.abs(step).max() < 1e-8:
            break
    weights = theta[:-1] / spread
    return Calibration(tuple(map(float, weights)), float(theta[-1] - weights @ middle))


def expected_calibration_error(confidences: Sequence[float], right: Sequence[bool]) -> float:
    """ECE (Naeini et al. 2015): how far mean confidence and share of right words are apart, in bins of like size."""
    order = np.argsort(confidences)
    p, truth = np.asarray(confidences, float)[order], np.asarray(right, float)[order]
    parts = [
        part
        for part in zip(np.array_split(p, NUM_BINS), np.array_split(truth, NUM_BINS), strict=True)
        if len(part[0])
    ]
    return float(sum(len(a) * abs(a.mean() - b.mean()) for a, b in parts) / max(len(p), 1))


def normalized_cross_entropy(confidences: Sequence[float], right: Sequence[bool]) -> float:
    """NCE (Siu et al. 1997): 1 knows all, 0 knows no more than how many words are right; not a number where all are."""
    p = np.clip(np.asarray(confidences, float), 1e-7, 1 - 1e-7)
    truth = np.asarray(right, bool)
    share = truth.mean() if len(truth) else 0.0
    if share in (0.0, 1.0):
        return math.nan
    most = -len(truth) * (share * math.log(share) + (1 - share) * math.log(1 - share))
    told = -float(np.log(np.where(truth, p, 1 - p)).sum())
    return float((most - told) / most)


class ConfidenceQuality(NamedTuple):
    """What confidences are worth, on so many words."""

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
    sure, right = [p for p, _ in word_confidences], [truth for _, truth in word_confidences]
    return ConfidenceQuality(
        len(word_confidences), expected_calibration_error(sure, right), normalized_cross_entropy(sure, right)
    )


def cross_validate(
    found: Mapping[str, Sequence[tuple[ConfidenceFeatures, bool]]], folds: int = 5
) -> list[tuple[float, bool]]:
    """Confidence and truth of each word by a calibration that has not seen its group (a speaker, say, or utterance)."""
    names = sorted(found)
    told: list[tuple[float, bool]] = []
    for k in range(folds):
        others = [word for n, name in enumerate(names) if n % folds != k for word in found[name]]
        calibration = fit_calibration(others)
        own = [word for n, name in enumerate(names) if n % folds == k for word in found[name]]
        told += [(calibration(evidence), truth) for evidence, truth in own]
    return told
