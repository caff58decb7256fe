"""Confidence intervals of error rates: BCa bootstrap over speakers, or over utterances if speakers are few."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from asrattn.metrics.wer import ErrorCounts

CONFIDENCE_LEVEL = 0.95
MIN_SPEAKERS = 8  # fewer do not suffice to estimate the variance between speakers
NUM_RESAMPLES = 4000
# Coverage with ten speakers: 1 gives 92 to 93 %, 2 gives 94 %, 3 gives 95 % (benchmarks/scoring.py).
_LOST_DEGREES_OF_FREEDOM = 3
_CELLS = 4_000_000  # numbers drawn at a time

ResamplingUnit = Literal["speakers", "utterances"]
Interval = tuple[float, float]


def resampling_unit(groups: Sequence[str] | None) -> ResamplingUnit:
    """The unit of `rate_interval`: speakers if all are known and at least MIN_SPEAKERS, else utterances."""
    if groups is None or "" in groups or len(set(groups)) < MIN_SPEAKERS:
        return "utterances"
    return "speakers"


def error_rate_interval(
    counts: Sequence[ErrorCounts], groups: Sequence[str] | None, seed: int = 0
) -> Interval:
    """95 % interval of the error rate of `counts`, one per utterance; `groups` are the speakers, or None."""
    return rate_interval([c.errors for c in counts], [c.words for c in counts], groups, seed)


def rate_interval(
    errors: Sequence[int], words: Sequence[int], groups: Sequence[str] | None, seed: int = 0
) -> Interval:
    """95 % interval of sum(errors) / sum(words), both one per utterance, by `ratio_interval` over the resampling unit.

    Without errors there is nothing to resample: the upper end is then the rate at which so many words are all correct
    in 5 % of cases, and likewise the lower end if all are wrong. The interval of a single unit is [0, 1], or up to its
    rate if that is higher. Units of equal rates show no spread: then the errors are taken as a Poisson count, whose
    exact interval (Garwood, 1936) is rather too wide. Coverage: benchmarks/README.md.
    """
    table = np.array([errors, words], np.int64).T
    wrong, whole = (int(n) for n in table.sum(0))
    rare = (1 - CONFIDENCE_LEVEL) ** (1 / max(whole, 1))
    if wrong == 0:
        return 0.0, 1 - rare
    units = sum_by_unit(table, groups)
    if len(units) == 1:
        return 0.0, max(1.0, wrong / max(whole, 1))
    if (table[:, 0] == table[:, 1]).all():
        return rare, 1.0
    if (units[:, 0] * whole == units[:, 1] * wrong).all():
        return _poisson_interval(wrong, max(whole, 1))
    return ratio_interval(units, seed)


def _poisson_interval(wrong: int, whole: int) -> Interval:
    from scipy.special import chdtri

    tail = (1 - CONFIDENCE_LEVEL) / 2
    low, high = chdtri(2 * wrong, 1 - tail) / 2 / whole, chdtri(2 * wrong + 2, tail) / 2 / whole
    return float(low), float(high if wrong > whole else min(high, 1.0))


def ratio_interval(units: NDArray[np.int64], seed: int) -> Interval:
    """BCa bootstrap interval (Efron, 1987) of the ratio of sums of units (n, 2), two or more of them.

    Its normal quantiles are widened to those of Student's t for few units (Hesterberg, 2015), with
    _LOST_DEGREES_OF_FREEDOM instead of one, since error rates are skewed and few speakers underestimate the skew.
    """
    distinct, times = np.unique(units, axis=0, return_counts=True)
    whole = times @ distinct
    values = _ratio(resample(distinct, times, seed))
    estimate = _ratio(whole[None])[0]
    low, high = np.quantile(values, _levels(values, estimate, _ratio(whole - distinct), times))
    return float(low), float(high)


def sum_by_unit(table: NDArray[np.int64], groups: Sequence[str] | None) -> NDArray[np.int64]:
    """(utterances, C) counts summed within each unit: (units, C)."""
    if resampling_unit(groups) == "utterances":
        return table
    _, index = np.unique(np.asarray(groups), return_inverse=True)
    sums = np.zeros((index.max() + 1, table.shape[1]), np.int64)
    np.add.at(sums, index, table)
    return sums


def resample(distinct: NDArray[np.int64], times: NDArray[np.int64], seed: int) -> NDArray[np.float64]:
    """Sums of NUM_RESAMPLES resamples with replacement: (D, C) distinct units, their counts -> (NUM_RESAMPLES, C).

    Equal units are one category of a multinomial distribution, which is fast for large sets.
    """
    rng = np.random.default_rng(seed)
    n, rows = int(times.sum()), max(1, _CELLS // len(times))
    parts = [min(rows, NUM_RESAMPLES - at) for at in range(0, NUM_RESAMPLES, rows)]
    draws = (rng.multinomial(n, times / n, size=part) for part in parts)
    return np.concatenate([draw.astype(np.float64) @ distinct for draw in draws])


def _ratio(sums: NDArray[np.generic]) -> NDArray[np.float64]:
    return np.asarray(sums[:, 0] / np.maximum(sums[:, 1], 1))


def _levels(
    values: NDArray[np.float64],
    estimate: float,
    without: NDArray[np.float64],
    times: NDArray[np.int64],
) -> NDArray[np.float64]:
    """The quantile levels of the bootstrap `values` for the ends of the interval.

    `without` are the jackknife estimates (one unit left out), `times` the number of such units: their skewness is
    the acceleration. The bias is how far the estimate lies from the median of the values.
    """
    from scipy.special import ndtr, ndtri, stdtrit

    n = int(times.sum())
    below = np.mean(values < estimate) + np.mean(values == estimate) / 2
    bias = ndtri(np.clip(below, 1 / len(values), 1 - 1 / len(values)))
    pull = times @ without / n - without
    spread = float(times @ pull**2)
    skew = float(times @ pull**3) / (6 * spread**1.5) if spread > 0 else 0.0
    free = max(n - _LOST_DEGREES_OF_FREEDOM, 1)
    half = -np.sqrt(n / free) * stdtrit(free, (1 - CONFIDENCE_LEVEL) / 2)
    ends = bias + np.array([-half, half])
    with np.errstate(divide="ignore"):
        levels = ndtr(bias + ends / (1 - skew * ends))
    # beyond the pole of the formula: the extremes of the values
    return np.asarray(np.where(skew * ends < 1, levels, ends > 0), np.float64)
