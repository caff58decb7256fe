import time

import numpy as np
import pytest
import scipy.stats
from numpy.typing import NDArray

from asrattn.metrics import ErrorCounts, error_rate_interval, rate_interval, resampling_unit

Table = NDArray[np.int64]


def as_counts(errors: Table, words: Table) -> list[ErrorCounts]:
    return [
        ErrorCounts(substitutions=int(e), hits=int(w - e))
        for e, w in zip(errors.ravel(), words.ravel(), strict=True)
    ]


def corpus(rng: np.random.Generator, speakers: int, each: int, spread: float) -> tuple[Table, Table]:
    """Errors and words (speakers, each): speakers differ around a rate of 0.1."""
    rates = np.clip(0.1 * np.exp(rng.normal(-spread * spread / 2, spread, speakers)), 0, 1)
    words = 1 + rng.poisson(5, (speakers, each))
    return rng.binomial(words, rates[:, None]), words


@pytest.mark.parametrize(("speakers", "each", "spread"), [(10, 13, 0.4), (30, 5, 0.6), (1, 130, 0.0)])
def test_the_interval_covers_the_true_rate_nineteen_times_in_twenty(
    speakers: int, each: int, spread: float
) -> None:
    """A quick look; benchmarks.scoring draws a thousand of many more kinds."""
    rng = np.random.default_rng(0)
    names = [f"s{i}" for i in range(speakers) for _ in range(each)]
    covered = []
    for seed in range(300):
        low, high = error_rate_interval(as_counts(*corpus(rng, speakers, each, spread)), names, seed)
        covered.append(low <= 0.1 <= high)
    assert 0.91 <= np.mean(covered) <= 0.985


@pytest.mark.slow
@pytest.mark.parametrize(
    ("speakers", "each", "spread"),
    [(10, 13, 0.4), (20, 20, 0.4), (30, 5, 0.6), (1, 130, 0.0), (1, 1000, 0.0)],
)
def test_it_holds_the_truth_in_93_to_97_of_100_systems(speakers: int, each: int, spread: float) -> None:
    rng = np.random.default_rng(1)
    names = [f"s{i}" for i in range(speakers) for _ in range(each)]
    covered = []
    for seed in range(1000):
        low, high = error_rate_interval(as_counts(*corpus(rng, speakers, each, spread)), names, seed)
        covered.append(low <= 0.1 <= high)
    assert 0.93 <= np.mean(covered) <= 0.97


def test_utterances_alone_would_promise_too_much_where_speakers_differ() -> None:
    rng = np.random.default_rng(1)
    counts = as_counts(*corpus(rng, 20, 20, 0.8))
    names = [f"s{i}" for i in range(20) for _ in range(20)]
    by_speaker, by_utterance = error_rate_interval(counts, names), error_rate_interval(counts, None)
    assert by_speaker[1] - by_speaker[0] > 1.5 * (by_utterance[1] - by_utterance[0])


def test_it_agrees_with_scipy() -> None:
    """With many units the widening is nothing, and what is left is scipy's own BCa."""
    errors, words = (part.ravel() for part in corpus(np.random.default_rng(3), 1, 300, 0.0))
    oracle = scipy.stats.bootstrap(
        (errors, words),
        lambda e, w, axis: e.sum(axis) / w.sum(axis),
        paired=True,
        vectorized=True,
        method="BCa",
        n_resamples=4000,
        rng=np.random.default_rng(0),
    ).confidence_interval
    assert error_rate_interval(as_counts(errors, words), None) == pytest.approx(
        (oracle.low, oracle.high), abs=0.002
    )


def test_a_skewed_set_has_the_longer_end_above() -> None:
    errors, words = np.array([30, 12] + [0, 1] * 30), np.full(62, 40)
    low, high = error_rate_interval(as_counts(errors, words), None)
    assert high - errors.sum() / words.sum() > 1.5 * (errors.sum() / words.sum() - low)


def test_all_wrong_does_not_mean_certainty_either() -> None:
    low, high = rate_interval([1] * 30, [1] * 30, None)
    assert (low, high) == (pytest.approx(0.905, abs=0.001), 1.0)


def test_one_bad_speaker_among_good_ones_is_no_trouble() -> None:
    names = [f"s{i}" for i in range(8)]
    low, high = rate_interval([50, 0, 0, 0, 0, 0, 0, 0], [60] * 8, names)
    assert 0 <= low < 50 / 480 < high <= 50 / 60


def test_speakers_are_resampled_where_there_are_eight() -> None:
    assert resampling_unit([f"s{i}" for i in range(8)]) == "speakers"
    assert resampling_unit([f"s{i % 7}" for i in range(100)]) == "utterances"
    assert resampling_unit([*(f"s{i}" for i in range(8)), ""]) == "utterances"
    assert resampling_unit(None) == "utterances"


def test_the_same_seed_gives_the_same_interval() -> None:
    counts = as_counts(*corpus(np.random.default_rng(3), 1, 50, 0.0))
    assert error_rate_interval(counts, None, seed=4) == error_rate_interval(counts, None, seed=4)
    assert error_rate_interval(counts, None, seed=4) != error_rate_interval(counts, None, seed=5)


def test_no_error_does_not_mean_certainty() -> None:
    low, high = error_rate_interval([ErrorCounts(hits=10)] * 30, None)
    assert low == 0
    assert high == pytest.approx(0.01, rel=0.01)  # the rule of three: 3 / 300


def test_one_utterance_says_nothing() -> None:
    assert error_rate_interval([ErrorCounts(substitutions=1, hits=3)], None) == (0.0, 1.0)
    assert error_rate_interval([ErrorCounts(insertions=4, hits=2)], None) == (0.0, 2.0)


def test_silence_among_the_references_is_no_trouble() -> None:
    low, high = error_rate_interval(
        [ErrorCounts(insertions=1), ErrorCounts(insertions=2), ErrorCounts(hits=5)], None
    )
    assert 0 <= low <= 0.6 <= high < float("inf")


def test_ten_thousand_utterances_are_quick() -> None:
    counts = as_counts(*corpus(np.random.default_rng(0), 1, 10_000, 0.0))
    error_rate_interval(counts[:100], None)  # the imports
    start = time.process_time()
    error_rate_interval(counts, None)
    assert time.process_time() - start < 0.5  # 0.035 s measured on one core; room for a busy machine


@pytest.mark.parametrize(("errors", "words"), [([1] * 10, [5] * 10), ([1, 2, 3], [5, 10, 15])])
def test_the_interval_has_width_where_all_units_have_one_rate(errors: list[int], words: list[int]) -> None:
    """That of a Poisson count: for 10 errors in 50 words chi2(20, 0.025) / 100 to chi2(22, 0.975) / 100."""
    low, high = rate_interval(errors, words, None)
    assert low < sum(errors) / sum(words) < high <= 1
    if sum(words) == 50:
        assert (low, high) == pytest.approx((0.0959, 0.3678), abs=1e-4)


def test_more_errors_than_words_in_every_utterance_have_an_interval() -> None:
    low, high = rate_interval([2] * 10, [1] * 10, None)
    assert 1 < low < 2 < high
