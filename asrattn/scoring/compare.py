"""Is one system better than another on the same utterances? Difference, its interval and a paired test."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asrattn.errors import DataError
from asrattn.scoring.counts import ErrorCounts, total
from asrattn.scoring.interval import Unit, by_unit, ratio_interval, unit_of

_SHUFFLES = 10_000


@dataclass(frozen=True)
class Comparison:
    """b against a: negative differences favour b.

    difference   rate of b minus rate of a
    interval     95 % bootstrap interval of the difference, paired
    p            two-sided p-value of the approximate randomisation test
    unit         what was resampled and swapped
    """

    difference: float
    interval: tuple[float, float]
    p: float
    unit: Unit


def compare(
    a: Sequence[ErrorCounts], b: Sequence[ErrorCounts], groups: Sequence[str] | None = None, seed: int = 0
) -> Comparison:
    """Counts of two systems for the same utterances in the same order; `groups` are the speakers.

    Raises DataError where the references differ, or there are fewer than two units to resample.
    """
    if [c.words for c in a] != [c.words for c in b]:
        raise DataError("two systems are compared on the same references; score both against one manifest")
    table = by_unit(np.array([(y.errors - x.errors, x.words) for x, y in zip(a, b, strict=True)]), groups)
    if len(table) < 2:
        raise DataError(f"{len(table)} utterances are too few to compare two systems; take at least two")
    return Comparison(
        difference=total(b).rate - total(a).rate,
        interval=ratio_interval(table, seed),
        p=randomisation_test(table[:, 0], seed),
        unit=unit_of(groups),
    )


def randomisation_test(differences: NDArray[np.int64], seed: int) -> float:
    """Two-sided p of differences (units,): how often random signs give a sum as large (Noreen, 1989).

    Units with the same absolute difference share one binomial draw: k of n signs up make 2k - n of them.
    """
    sizes, times = np.unique(np.abs(differences), return_counts=True)
    ups = np.random.default_rng(seed).binomial(times, 0.5, size=(_SHUFFLES, len(sizes)))
    sums = (2 * ups - times) @ sizes
    return float((1 + np.sum(np.abs(sums) >= abs(differences.sum()))) / (1 + _SHUFFLES))
