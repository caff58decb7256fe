"""A large corpus before its first step: python -m benchmarks.large_manifest --help.

A synthetic manifest of millions of lines (without audio files) is opened for the first time, which scans it, and
again, which maps its index; lines are read at random; the batches of an epoch are planned. Memory is what the process
has for itself (anonymous pages); mapped pages of the index can be given back by the system at any time.
"""

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from asrattn.data.lazy_manifest import LazyManifest
from asrattn.training.data.sampler import EpochPlan, padding_ratio, shard_batches
from asrattn.training.recipe import DataConfig

T = TypeVar("T")
WORDS = (
    "the",
    "of",
    "and",
    "to",
    "in",
    "that",
    "is",
    "was",
    "he",
    "for",
    "it",
    "with",
    "as",
    "his",
    "on",
    "be",
)
READ_LINES = 1000
BATCH_SECONDS = 100.0  # seconds of audio in a batch


def main(argv: Sequence[str] | None = None) -> None:
    """Print a line for each measurement."""
    parser = argparse.ArgumentParser(
        description="opening a manifest of millions of lines: seconds and memory"
    )
    parser.add_argument("--lines", type=int, default=10_000_000)
    parser.add_argument(
        "--folder", type=Path, help="where to write it (default: a passing one); 170 bytes a line"
    )
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        path = write_manifest(Path(folder) / "train.jsonl", args.lines)
        print(f"{args.lines:,} lines, {path.stat().st_size / 1e9:.2f} GB")
        lines = measure("opened for the first time", lambda: LazyManifest(path))
        lines = measure("opened again", lambda: LazyManifest(path))
        measure("hours summed up", lambda: float(lines.seconds.sum(dtype=float)) / 3600)
        draw = random.Random(0)
        measure(
            f"{READ_LINES} read at random",
            lambda: [lines[draw.randrange(len(lines))] for _ in range(READ_LINES)],
        )
        seconds = np.array(lines.seconds)
    plan = measure("an epoch planned", lambda: plan_epoch(seconds))
    print(f"{len(plan):,} steps of {BATCH_SECONDS:g} s, padding {100 * padding_ratio(seconds, plan):.2f} %")


def plan_epoch(seconds: NDArray[np.float32]) -> EpochPlan:
    """An epoch of shards of half an hour, the default of recipes."""
    starts = np.searchsorted(np.cumsum(seconds, dtype=float), np.arange(0, seconds.sum(dtype=float), 1800))
    starts = np.append(starts, len(seconds))
    return shard_batches(seconds, starts, BATCH_SECONDS, 0, 0, DataConfig().window)


def write_manifest(path: Path, count: int) -> Path:
    """A manifest of sentences of the lengths of read speech, log-normal around 8 s; the same for every call."""
    with path.open("w", encoding="utf-8") as out:
        out.writelines(generate_lines(count))
    return path


def generate_lines(count: int) -> Iterator[str]:
    draw = random.Random(0)
    texts = [" ".join(draw.choices(WORDS, k=draw.randint(4, 30))) for _ in range(1000)]
    for i in range(count):
        seconds = min(max(draw.lognormvariate(2.1, 0.5), 0.6), 30.0)
        yield (
            f'{{"id": "speaker-{i % 4999:04}-{i:08}", "audio": "audio/{i % 4999:04}/{i:08}.flac", '
            f'"text": "{texts[i % 997]}", "seconds": {seconds:.4f}, "speaker": "{i % 4999:04}"}}\n'
        )


def measure(name: str, work: Callable[[], T]) -> T:
    before, wall, cpu = anonymous_rss_mb(), time.perf_counter(), time.process_time()
    found = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"{name:28} {wall:8.2f} s   {cpu:8.2f} CPU-s   {anonymous_rss_mb() - before:+8.1f} MB", flush=True)
    return found


def anonymous_rss_mb() -> float:
    """Megabytes of memory that are this process's own."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) / 1000 for line in status.splitlines() if line.startswith("RssAnon"))


if __name__ == "__main__":
    main()
