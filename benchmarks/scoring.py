"""Coverage of the intervals, false positives of the paired tests, and speed of scoring.

python -m benchmarks.scoring coverage|equal|seeds|speed --help. The truth is known because it is drawn: speakers
whose rates differ (log-normal, `spread` the standard deviation of the logarithm) around the true rate, utterances
harder and easier (`clump` the variance of a gamma factor), words wrong by chance.
"""

import argparse
import itertools
import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from asrattn.metrics import ErrorCounts, ScoredUtterance, count_word_errors, score_utterance, summarize
from asrattn.metrics.bootstrap import rate_interval, sum_by_unit
from asrattn.metrics.seed_test import seed_test
from asrattn.metrics.significance import SIGNIFICANCE_LEVEL, System, compare_to_baseline, randomisation_test

Table = NDArray[np.int64]


class CorpusModel(NamedTuple):
    """A kind of corpus: `speakers` of `each` utterances of about six words, at a true error rate."""

    speakers: int
    each: int
    rate: float
    spread: float
    clump: float

    def draw(self, rng: np.random.Generator) -> tuple[Table, Table]:
        """Errors and words, (speakers, each)."""
        words = 1 + rng.poisson(5, (self.speakers, self.each))
        return rng.binomial(words, self.probabilities(rng)), words

    def probabilities(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Of a word to be wrong, (speakers, each)."""
        speakers = np.exp(rng.normal(-(self.spread**2) / 2, self.spread, (self.speakers, 1)))
        shape = (self.speakers, self.each)
        harder = rng.gamma(1 / self.clump, self.clump, shape) if self.clump else np.ones(shape)
        return np.clip(self.rate * speakers * harder, 0, 1)


SPEAKERS = [
    CorpusModel(8, 16, 0.1, 0.4, 0.0),
    CorpusModel(10, 13, 0.1, 0.4, 0.0),
    CorpusModel(10, 13, 0.06, 0.6, 0.5),
    CorpusModel(10, 13, 0.1, 0.8, 0.5),
    CorpusModel(20, 20, 0.1, 0.4, 0.5),
    CorpusModel(30, 5, 0.1, 0.6, 0.0),
    CorpusModel(30, 20, 0.05, 0.6, 0.5),
    CorpusModel(30, 20, 0.05, 0.9, 0.5),
    CorpusModel(100, 20, 0.05, 0.6, 0.5),
]
UTTERANCES = [
    CorpusModel(1, 30, 0.1, 0.0, 0.5),
    CorpusModel(1, 100, 0.1, 0.0, 0.5),
    CorpusModel(1, 130, 0.06, 0.0, 1.0),
    CorpusModel(1, 130, 0.01, 0.0, 0.5),
    CorpusModel(1, 500, 0.02, 0.0, 1.0),
    CorpusModel(1, 3000, 0.05, 0.0, 1.0),
]
EQUAL_SYSTEMS = [  # with the standard deviation by which a speaker suits one system more than the other
    (CorpusModel(10, 13, 0.08, 0.4, 0.0), 0.0),
    (CorpusModel(10, 13, 0.08, 0.4, 0.5), 0.3),
    (CorpusModel(10, 13, 0.02, 0.4, 0.0), 0.0),
    (CorpusModel(30, 20, 0.08, 0.4, 0.5), 0.2),
    (CorpusModel(1, 130, 0.08, 0.0, 0.5), 0.0),
    (CorpusModel(1, 500, 0.05, 0.0, 1.0), 0.0),
]
SEED_CORPORA = [(CorpusModel(20, 40, 0.1, 0.4, 0.5), 0.1), (CorpusModel(1, 500, 0.1, 0.0, 0.5), 0.0)]
SEED_SPREADS = (0.0, 0.06, 0.1)  # standard deviation of the logarithm of the rates of a system's runs
RUNS = ((1, 1), (3, 3), (5, 5), (1, 3))  # of the two systems
SHARED_LUCK_FRACTION = 0.6  # of the words are recognised by luck that both systems share


def main(argv: Sequence[str] | None = None) -> None:
    """Print one line for each kind of corpus."""
    parser = argparse.ArgumentParser(
        description="intervals, tests and their cost", formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("what", choices=["coverage", "equal", "seeds", "speed"])
    parser.add_argument("--systems", type=int, default=1000, help="drawn of each kind")
    parser.add_argument("--utterances", type=int, default=100_000, help="scored for speed")
    parser.add_argument("--seed", type=int, default=20)
    args = parser.parse_args(argv)
    if args.what == "coverage":
        print("speakers  each  true rate  spread  clump   holds the truth   too low  too high")
        for corpus in [*SPEAKERS, *UTTERANCES]:
            print(coverage(corpus, args.systems, args.seed), flush=True)
    elif args.what == "equal":
        print("speakers  each  true rate  spread  clump  quirk   called different   paired  MAPSSWE")
        for corpus, quirk in EQUAL_SYSTEMS:
            print(equal(corpus, quirk, args.systems, args.seed), flush=True)
    elif args.what == "seeds":
        print(
            "speakers  each  true rate  between seeds   runs   called different   without seeds   seeds' interval"
        )
        for (corpus, quirk), spread, runs in itertools.product(SEED_CORPORA, SEED_SPREADS, RUNS):
            print(seeds(corpus, quirk, runs, spread, args.systems, args.seed), flush=True)
    else:
        print(speed(args.utterances, args.seed))


def coverage(corpus: CorpusModel, systems: int, seed: int) -> str:
    """How often the interval holds the true rate, lies below it, lies above it."""
    rng = np.random.default_rng(seed)
    names = [f"s{i}" for i in range(corpus.speakers) for _ in range(corpus.each)]
    below = above = 0
    for number in tqdm(range(systems), disable=None, leave=False):
        errors, words = corpus.draw(rng)
        low, high = rate_interval(errors.ravel().tolist(), words.ravel().tolist(), names, number)
        below += high < corpus.rate
        above += low > corpus.rate
    holds = 100 * (systems - below - above) / systems
    return (
        f"{corpus.speakers:8} {corpus.each:5} {100 * corpus.rate:8.0f} %  {corpus.spread:6.1f} {corpus.clump:6.1f}"
        f" {holds:15.1f} % {100 * below / systems:7.1f} % {100 * above / systems:7.1f} %"
    )


def equal(corpus: CorpusModel, quirk: float, systems: int, seed: int) -> str:
    """How often two systems of the same true rate are called different, by both tests and by each."""
    rng = np.random.default_rng(seed)
    called = np.zeros(3, int)
    for number in tqdm(range(systems), disable=None, leave=False):
        (verdict,) = compare_to_baseline(*_equal_systems(corpus, quirk, rng), seed=number)
        called += (
            verdict.significant,
            verdict.p_randomisation < SIGNIFICANCE_LEVEL,
            verdict.p_mapsswe < SIGNIFICANCE_LEVEL,
        )
    rates = [100 * int(n) / systems for n in called]
    return (
        f"{corpus.speakers:8} {corpus.each:5} {100 * corpus.rate:8.0f} %  {corpus.spread:6.1f} {corpus.clump:6.1f}"
        f" {quirk:6.1f} {rates[0]:16.1f} % {rates[1]:6.1f} % {rates[2]:6.1f} %"
    )


def _equal_systems(
    corpus: CorpusModel, quirk: float, rng: np.random.Generator
) -> tuple[System, list[System]]:
    """Two systems of equal truth: texts in which a wrong word never occurs in the reference."""
    hard = corpus.probabilities(rng)
    tastes = [np.exp(rng.normal(-(quirk**2) / 2, quirk, (corpus.speakers, 1))) for _ in "ab"]
    runs: list[list[ScoredUtterance]] = [[], []]
    for place in np.ndindex(hard.shape):
        words = 1 + int(rng.poisson(5))
        common, own = rng.random(words), rng.random(words)
        luck = common, np.where(rng.random(words) < SHARED_LUCK_FRACTION, common, own)
        said = [f"w{i}" for i in range(words)]
        for run, taste, draw in zip(runs, tastes, luck, strict=True):
            wrong = draw < hard[place] * taste[place[0], 0]
            heard = ["x" if bad else word for word, bad in zip(said, wrong, strict=True)]
            speaker = f"s{place[0]}" if corpus.speakers > 1 else ""
            texts = " ".join(said), " ".join(heard)
            run.append(
                ScoredUtterance(f"{place}", *texts, count_word_errors(*texts), ErrorCounts(), speaker)
            )  # characters cost most
    a, b = (System(name, (tuple(run),)) for name, run in zip("ab", runs, strict=True))
    return a, [b]


def seeds(
    corpus: CorpusModel, quirk: float, runs: tuple[int, int], seed_spread: float, systems: int, seed: int
) -> str:
    """How often two systems of the same true rate are called different by the randomisation test and the test over
    seeds (MAPSSWE is left out: it can only call fewer), and by the former alone; how often the interval holds 0."""
    rng = np.random.default_rng(seed)
    called = np.zeros(3, int)
    names = [
        f"s{i}" if corpus.speakers > 1 else "" for i in range(corpus.speakers) for _ in range(corpus.each)
    ]
    for number in tqdm(range(systems), disable=None, leave=False):
        words, *drawn = _draw_runs(corpus, quirk, runs, seed_spread, rng)
        table = sum_by_unit(np.concatenate([words[None], *drawn]).T, names).T
        a, b = table[1 : 1 + runs[0]], table[1 + runs[0] :]
        p = randomisation_test(runs[0] * b.sum(0) - runs[1] * a.sum(0), number)
        test = seed_test(a, b, table[0])
        low, high = test.interval if test else (0.0, 0.0)
        called += (
            max(p, test.p if test else 0.0) < SIGNIFICANCE_LEVEL,
            p < SIGNIFICANCE_LEVEL,
            low <= 0 <= high,
        )
    both, alone, covered = (100 * int(n) / systems for n in called)
    interval = "" if max(runs) == 1 else f"{covered:13.1f} %"
    return (
        f"{corpus.speakers:8} {corpus.each:5} {100 * corpus.rate:8.0f} % {100 * seed_spread:12.0f} %"
        f"   {runs[0]}, {runs[1]} {both:16.1f} % {alone:13.1f} % {interval}"
    )


def _draw_runs(
    corpus: CorpusModel, quirk: float, runs: tuple[int, int], seed_spread: float, rng: np.random.Generator
) -> tuple[Table, Table, Table]:
    """Words (utterances,), and errors (runs, utterances) of two systems of equal truth."""
    words = 1 + rng.poisson(5, corpus.speakers * corpus.each)
    hard, speaker = corpus.probabilities(rng).ravel(), np.repeat(np.arange(corpus.speakers), corpus.each)
    common, shared = rng.random(words.sum()), rng.random(words.sum()) < SHARED_LUCK_FRACTION
    first_words = words.cumsum() - words
    errors = []
    for n in runs:
        taste = np.exp(rng.normal(-(quirk**2) / 2, quirk, corpus.speakers))[speaker]
        factors = np.exp(rng.normal(-(seed_spread**2) / 2, seed_spread, n))
        luck = np.where(shared, common, rng.random((n, words.sum())))
        wrong = luck < np.repeat(factors[:, None] * hard * taste, words, axis=1)
        errors.append(np.add.reduceat(wrong, first_words, axis=1, dtype=np.int64))
    return words, errors[0], errors[1]


def speed(utterances: int, seed: int) -> str:
    """Score made texts of 5 to 25 words from end to end: alignment of words and characters, all intervals."""
    rng = np.random.default_rng(seed)
    vocabulary = np.array(
        ["".join(letters) for letters in itertools.product("aeiou", "bcdfgklmnprst", "aeiou", "nrst")]
    )
    texts = [rng.choice(vocabulary, n) for n in rng.integers(5, 26, utterances)]
    heard = [np.where(rng.random(len(t)) < 0.1, rng.choice(vocabulary, len(t)), t) for t in texts]
    pairs = [(" ".join(said), " ".join(got)) for said, got in zip(texts, heard, strict=True)]
    begin, cpu = time.perf_counter(), time.process_time()
    rows = [
        score_utterance(str(i), said, got)
        for i, (said, got) in enumerate(tqdm(pairs, disable=None, leave=False))
    ]
    aligned = time.process_time() - cpu
    line = summarize("made", rows).line()
    wall, cpu = time.perf_counter() - begin, time.process_time() - cpu
    return f"{line}\n{wall:.1f} s wall, {cpu:.1f} CPU-s, {aligned:.1f} of them to align"


if __name__ == "__main__":
    main()
