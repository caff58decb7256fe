"""Estimation of an n-gram model: python -m benchmarks.ngrams --help.

The text is made: words from a Zipf distribution, each sentence about one of many topics that make some words likelier,
so that n-grams repeat as they do in text. Every part is timed alone; memory is the peak of the process.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from asrattn import lm
from asrattn.lm import arpa

T = TypeVar("T")


def main(argv: Sequence[str] | None = None) -> None:
    """Print one line for each part of the work."""
    parser = argparse.ArgumentParser(
        description="the cost of n-gram models", formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--words", type=int, default=10_000_000)
    parser.add_argument("--vocabulary", type=int, default=100_000)
    parser.add_argument("--order", type=int, default=4)
    parser.add_argument("--smoothing", choices=lm.SMOOTHINGS, default="kneser-ney")
    parser.add_argument("--prune", type=int, nargs="+", default=[0], help="counts, as asrattn lm train")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.arpa"
        run_timed("count, estimate and write", lambda: arpa.write(path, train_ngram(args)))
        print(f"{path.stat().st_size / 1e6:.0f} MB")
        model = run_timed("read", lambda: arpa.read(path))
        args.words, args.seed = args.words // 10, args.seed + 1
        found = run_timed("perplexity of a tenth of the text", lambda: lm.perplexity(model, sentences(args)))
        print(found.line("word"))


def train_ngram(args: argparse.Namespace) -> lm.NGram:
    """The model of the whole text."""
    counts = run_timed("count, text included", lambda: lm.count_ngrams(sentences(args), args.order))
    model = run_timed("estimate", lambda: lm.estimate(counts, args.smoothing, args.prune))
    print(f"n-grams: {np.diff(counts.starts[1:]).tolist()} counted, {model.sizes} kept")
    return model


def sentences(args: argparse.Namespace, size: int = 20) -> Iterator[list[str]]:
    """Sentences of 20 words; a word follows the last one of its sentence as often as it is drawn anew."""
    draw = np.random.default_rng(args.seed)
    names = [f"word{i}" for i in range(args.vocabulary)]
    share = 1 / np.arange(1, args.vocabulary + 1)
    edges = np.cumsum(share / share.sum())
    for begin in range(0, args.words, size * 10_000):
        count = min(10_000, (args.words - begin) // size)
        ids = np.searchsorted(edges, draw.random((count, size)))
        follows = draw.random((count, size)) < 0.5
        which = draw.geometric(0.3, (count, size))
        for at in range(1, size):
            after = (ids[:, at - 1] * 31 + which[:, at] ** 2 * 7919) % args.vocabulary
            ids[:, at] = np.where(follows[:, at], np.sqrt(after * ids[:, at]).astype(int), ids[:, at])
        for row in ids.tolist():
            yield [names[i] for i in row]


def run_timed(name: str, work: Callable[[], T]) -> T:
    """Run it, and print CPU-seconds and the process's peak memory so far."""
    start = time.process_time()
    result = work()
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{name:36} {seconds:8.1f} CPU-s   peak {peak:.2f} GB", flush=True)
    return result


if __name__ == "__main__":
    main()
