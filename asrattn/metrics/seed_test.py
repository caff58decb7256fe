"""Test of two systems over seeds and utterances: crossed random effects, with Satterthwaite's degrees of freedom."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from asrattn.metrics.bootstrap import CONFIDENCE_LEVEL, Interval


@dataclass(frozen=True)
class SeedTestResult:
    """b against a, for other seeds and other utterances (or speakers) of the same kind.

    interval            95 % interval of the difference of the mean rates
    p                   two-sided
    degrees_of_freedom  of Student's t (Satterthwaite, 1946)
    """

    interval: Interval
    p: float
    degrees_of_freedom: float


class _Variance(NamedTuple):
    """Variance of a mean rate that the seeds explain, its degrees of freedom, and how much of it is the luck of a
    seed on single units."""

    seeds: float
    free: int
    interaction: float


def seed_test(
    errors_a: NDArray[np.int64], errors_b: NDArray[np.int64], words: NDArray[np.int64]
) -> SeedTestResult | None:
    """Errors (runs, units) of both systems on units of `words` (units,), two or more; None for one run of each.

    The variance of the difference is that between runs, plus that between units of the mean over the runs, less what
    both contain: the luck of a run on single units. (Generalizability theory; Brennan, 2001.) A system with one run is
    taken to vary between seeds as the other one does, and t has the degrees of freedom of its runs alone: with more,
    two systems of one and three runs, 10 % apart, were called different in 6.8 % of cases.
    """
    from scipy.special import stdtr, stdtrit

    if max(len(errors_a), len(errors_b)) == 1:
        return None
    a, b = _residuals(errors_a, words), _residuals(errors_b, words)
    difference = float(errors_b.sum() / len(b) - errors_a.sum() / len(a)) / max(int(words.sum()), 1)
    parts = _seed_variances(errors_a, errors_b, words)
    units = _sum_of_squares(b.mean(0) - a.mean(0))
    seeds, interaction = sum(p.seeds for p in parts), sum(p.interaction for p in parts)
    variance = max(units, seeds, units + seeds - interaction)
    if variance == 0:
        return SeedTestResult((difference, difference), float(difference == 0), float(len(words) - 1))
    spread = units**2 / (len(words) - 1) + sum(p.seeds**2 / p.free for p in parts)
    free = parts[0].free if min(len(a), len(b)) == 1 else variance**2 / spread
    error = np.sqrt(variance)
    half = -stdtrit(free, (1 - CONFIDENCE_LEVEL) / 2) * error
    p = 2 * stdtr(free, -abs(difference) / error)
    return SeedTestResult((float(difference - half), float(difference + half)), float(p), float(free))


def _residuals(errors: NDArray[np.int64], words: NDArray[np.int64]) -> NDArray[np.float64]:
    """What each unit adds to the rate of a run beyond its share of the words: (runs, units), each row of sum 0."""
    total = max(int(words.sum()), 1)
    return np.asarray((errors - np.outer(errors.sum(1) / total, words)) / total)


def _seed_variances(
    errors_a: NDArray[np.int64], errors_b: NDArray[np.int64], words: NDArray[np.int64]
) -> list[_Variance]:
    """Of both systems; of one alone, for both, if the other has one run."""
    total = max(int(words.sum()), 1)
    found = []
    for errors in (errors_a, errors_b):
        if len(errors) > 1:
            n, units = len(errors), len(words)
            rates = errors.sum(1) / total
            luck = _residuals(errors, words).var(0, ddof=1).sum() * units / (units - 1)
            found.append(_Variance(float(rates.var(ddof=1)) / n, n - 1, float(luck) / n))
    if len(found) == 1:
        share = len(errors_a) * len(
            errors_b
        )  # the other has one run: its variance is n times that of the mean
        (known,) = found
        found = [_Variance((1 + share) * known.seeds, known.free, (1 + share) * known.interaction)]
    return found


def _sum_of_squares(values: NDArray[np.float64]) -> float:
    """Of values of mean 0, unbiased for few of them."""
    return float((values**2).sum() * len(values) / (len(values) - 1))
