"""Significance of WER differences: paired bootstrap interval, randomisation test, MAPSSWE, seeds, Holm correction."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asrattn.errors import DataError
from asrattn.metrics.bootstrap import Interval, ResamplingUnit, ratio_interval, resampling_unit, sum_by_unit
from asrattn.metrics.mapsswe import MAPSSWEResult, SlotSequence, error_segments, mapsswe_test, reference_slots
from asrattn.metrics.result import ScoredUtterance
from asrattn.metrics.seed_test import SeedTestResult, seed_test
from asrattn.metrics.wer import ErrorCounts, sum_counts

_SHUFFLES = 10_000
SIGNIFICANCE_LEVEL = 0.05
ONE_RUN_NOTE = "one run of each system: whether other seeds would give the same is not known"
NO_WIDTH_NOTE = "every unit differs by the same rate, so the interval has no width"


@dataclass(frozen=True)
class Comparison:
    """b against a: negative differences favour b.

    difference   rate of b minus rate of a
    interval     95 % interval of the difference, by paired bootstrap
    p            two-sided p-value of the approximate randomisation test
    unit         what was resampled and swapped
    """

    difference: float
    interval: Interval
    p: float
    unit: ResamplingUnit


@dataclass(frozen=True)
class System:
    """A system by its runs (seeds): each the scored utterances of the same set in the same order."""

    name: str
    runs: tuple[tuple[ScoredUtterance, ...], ...]


@dataclass(frozen=True)
class SignificanceResult:
    """A system against the baseline, by all tests; p-values are corrected for all systems compared (Holm, 1979).

    Significant only if all tests are: the randomisation test accounts for the correlation of words of a speaker, the
    segment test for the number of segments in which systems differ, the test over seeds for the luck of the runs.

    seeds, p_seeds   None if each system has one run: what other seeds would give is then not known
    """

    name: str
    paired: Comparison
    mapsswe: MAPSSWEResult
    seeds: SeedTestResult | None
    p_randomisation: float
    p_mapsswe: float
    p_seeds: float | None

    @property
    def interval(self) -> Interval:
        """95 % interval of the difference, over utterances, and over seeds if there are several runs."""
        return self.seeds.interval if self.seeds else self.paired.interval

    @property
    def notes(self) -> list[str]:
        """What the numbers do not show."""
        low, high = self.interval
        alike = low == high and self.paired.difference != 0
        return [ONE_RUN_NOTE] * (self.seeds is None) + [NO_WIDTH_NOTE] * alike

    @property
    def significant(self) -> bool:
        return max(self.p_randomisation, self.p_mapsswe, self.p_seeds or 0.0) < SIGNIFICANCE_LEVEL

    @property
    def conclusion(self) -> str:
        if not self.significant:
            return "no difference shown"
        return "better" if self.paired.difference < 0 else "worse"


def compare_to_baseline(
    baseline: System, others: Sequence[System], seed: int = 0
) -> list[SignificanceResult]:
    """Each of the others against the baseline. Raises DataError as `compare` does."""
    speakers = [row.speaker for row in baseline.runs[0]]
    paired, segments, seeds = [], [], []
    for other in others:
        a, b = (_pooled(x, len(y.runs)) for x, y in ((baseline, other), (other, baseline)))
        paired.append(compare(a, b, speakers, seed))
        segments.append(mapsswe_test(_segment_differences(baseline, other)))
        seeds.append(_seed_test(baseline, other, speakers))
    p_seeds = iter(holm_correction([test.p for test in seeds if test]))
    ps = zip(
        holm_correction([test.p for test in paired]),
        holm_correction([test.p for test in segments]),
        [next(p_seeds) if test else None for test in seeds],
        strict=True,
    )
    tests = zip(others, paired, segments, seeds, ps, strict=True)
    return [SignificanceResult(other.name, c, m, s, *p) for other, c, m, s, p in tests]


def compare(
    a: Sequence[ErrorCounts], b: Sequence[ErrorCounts], groups: Sequence[str] | None = None, seed: int = 0
) -> Comparison:
    """Counts of two systems for the same utterances in the same order; `groups` are the speakers.

    Raises DataError if the references differ, or there are fewer than two units to resample.
    """
    if [c.words for c in a] != [c.words for c in b]:
        raise DataError("two systems are compared on the same references; score both against one manifest")
    table = sum_by_unit(np.array([(y.errors - x.errors, x.words) for x, y in zip(a, b, strict=True)]), groups)
    if len(table) < 2:
        raise DataError(f"{len(table)} utterances are too few to compare two systems; take at least two")
    return Comparison(
        difference=sum_counts(b).rate - sum_counts(a).rate,
        interval=ratio_interval(table, seed),
        p=randomisation_test(table[:, 0], seed),
        unit=resampling_unit(groups),
    )


def holm_correction(ps: Sequence[float]) -> list[float]:
    """p-values corrected for their number: the smallest times n, the next times n - 1, … and never falling."""
    corrected = [0.0] * len(ps)
    largest = 0.0
    for rank, at in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        largest = max(largest, min(1.0, (len(ps) - rank) * ps[at]))
        corrected[at] = largest
    return corrected


def _pooled(system: System, times: int) -> list[ErrorCounts]:
    """Counts of all runs together by utterance, `times` each: so both systems have the same number of words."""
    return [sum_counts([row.words for row in rows] * times) for rows in zip(*system.runs, strict=True)]


def _seed_test(a: System, b: System, speakers: Sequence[str]) -> SeedTestResult | None:
    """The test on the units of `compare`."""
    words = [row.words.words for row in a.runs[0]]
    errors = [[row.words.errors for row in run] for system in (a, b) for run in system.runs]
    table = sum_by_unit(np.array([words, *errors], np.int64).T, speakers).T
    return seed_test(table[1 : 1 + len(a.runs)], table[1 + len(a.runs) :], table[0])


def _segment_differences(a: System, b: System) -> list[int]:
    """Errors of b minus errors of a in every segment; each run counts as often as the other system has runs."""
    n_a, n_b = len(a.runs), len(b.runs)
    in_a, in_b = (zip(*(map(_slots, run) for run in system.runs), strict=True) for system in (a, b))
    found = (pair for x, y in zip(in_a, in_b, strict=True) for pair in error_segments(x, y))
    return [n_a * wrong_b - n_b * wrong_a for wrong_a, wrong_b in found]


def _slots(row: ScoredUtterance) -> SlotSequence:
    return reference_slots(row.reference, row.hypothesis)


def randomisation_test(differences: NDArray[np.int64], seed: int) -> float:
    """Two-sided p of differences (units,): how often random signs give a sum as large (Noreen, 1989).

    Units with the same absolute difference share one binomial draw: k of n signs up make 2k - n of them.
    """
    sizes, times = np.unique(np.abs(differences), return_counts=True)
    ups = np.random.default_rng(seed).binomial(times, 0.5, size=(_SHUFFLES, len(sizes)))
    sums = (2 * ups - times) @ sizes
    return float((1 + np.sum(np.abs(sums) >= abs(differences.sum()))) / (1 + _SHUFFLES))
