"""How far a corpus rate can be trusted: BCa bootstrap over speakers, over utterances where those are few."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from asrattn.metrics.wer import ErrorCounts

CONFIDENCE_LEVEL = 0.95
MIN_SPEAKERS = 8  # below it the spread between speakers cannot be estimated from speakers
NUM_RESAMPLES = 4000
_LOST_DEGREES_OF_FREEDOM = (
    3  # 1 holds the truth in 92 to 93 of 100 cases with ten speakers, 2 in 94, 3 in 95: benchmarks/scoring.py
)
_CELLS = 4_000_000  # numbers drawn at once

ResamplingUnit = Literal["speakers", "utterances"]
Interval = tuple[float, float]


def resampling_unit(groups: Sequence[str] | None) -> ResamplingUnit:
    """What `interval` resamples: speakers where each is known and there are at least FEWEST_SPEAKERS."""
    if groups is None or "" in groups or len(set(groups)) < MIN_SPEAKERS:
        return "utterances"
    return "speakers"


def error_rate_interval(
    counts: Sequence[ErrorCounts], groups: Sequence[str] | None, seed: int = 0
) -> Interval:
    """95 % interval of the error rate of `counts`, one an utterance; `groups` are the speakers, or None."""
    return rate_interval([c.errors for c in counts], [c.words for c in counts], groups, seed)


def rate_interval(
    errors: Sequence[int], words: Sequence[int], groups: Sequence[str] | None, seed: int = 0
) -> Interval:
    """95 % interval of sum(errors) / sum(words), both one an utterance, by `ratio_interval` over `unit_of(groups)`.

    Where nothing is wrong there is nothing to resample: the upper end is then the rate at which so many words
    pass unharmed in 5 % of cases, and the lower end likewise where nothing is right. One unit alone says
    nothing: from 0 to 1, or to its rate if that is more. How often it holds the truth: benchmarks/README.md.
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
    return ratio_interval(units, seed)


def ratio_interval(units: NDArray[np.int64], seed: int) -> Interval:
    """BCa bootstrap interval (Efron, 1987) of the ratio of sums of units (n, 2), two or more of them.

    The normal quantiles in it are widened as Student's t is where units are few (Hesterberg, 2015); _LOST degrees of
    freedom are taken from it rather than one, since error rates are skewed and a few speakers show too little of it.
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
    """Sums of RESAMPLES draws of all units with replacement: (D, C) units and how often each occurs -> (RESAMPLES, C).

    Units with equal counts are one category of the multinomial: few enough to be quick for large sets.
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
    """Which quantiles of the bootstrap `values` are the ends.

    `without` are the estimates when one unit is left out, `times` how many such units there are: their skewness is
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
    # beyond the pole of the formula there is no more to say than: as far as the values go
    return np.asarray(np.where(skew * ends < 1, levels, ends > 0), np.float64)
