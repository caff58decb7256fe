"""Check of a large corpus: python -m benchmarks.corpus_check --help.

A synthetic manifest of read sentences. Its audio are random segments of a few long files of synthetic voices:
no two are alike, and each is sought, decoded and measured as a file of its own would be. Memory is the highest that the
first process reached, and that one of those that read audio did.
"""

import argparse
import json
import random
import resource
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from asrattn import audio
from asrattn.audio.interface import Wave
from asrattn.cli.main import main as asrattn
from benchmarks.large_manifest import generate_lines

RATE = 16000
FILE_COUNT, FILE_SECONDS = 40, 90.0  # seconds


def main(argv: Sequence[str] | None = None) -> None:
    """Print the output of the command, then its cost."""
    parser = argparse.ArgumentParser(description="asrattn check on many hours: seconds and memory")
    parser.add_argument("--hours", type=float, default=100.0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="texts and splits only")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        path = write_corpus(Path(folder), args.hours)
        begin = time.perf_counter()
        asrattn(["check", str(path), "--jobs", str(args.jobs), *(["--quick"] if args.quick else [])])
    wall = time.perf_counter() - begin
    own, others = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    cpu = sum(usage.ru_utime + usage.ru_stime for usage in (own, others))
    print(
        f"{wall:.0f} s, {cpu:.0f} CPU-s with the making, {own.ru_maxrss / 1e6:.2f} + {others.ru_maxrss / 1e6:.2f} GB"
    )


def write_corpus(folder: Path, hours: float) -> Path:
    """train.jsonl and the files it names; the same for every call."""
    draw = np.random.default_rng(0)
    for i in range(FILE_COUNT):
        audio.write(folder / f"{i}.flac", make_voice(draw), RATE)
    path = folder / "train.jsonl"
    with path.open("w", encoding="utf-8") as out:
        out.writelines(manifest_lines(hours))
    return path


def manifest_lines(hours: float) -> Iterator[str]:
    """Those of `benchmarks.large_manifest`, each with a segment of audio."""
    draw = random.Random(0)
    left = 3600 * hours
    for line in map(json.loads, generate_lines(int(1000 * hours))):
        start = round(draw.uniform(0, FILE_SECONDS - line["seconds"]), 4)
        yield json.dumps(line | {"audio": f"{draw.randrange(FILE_COUNT)}.flac", "start": start}) + "\n"
        left -= line["seconds"]
        if left < 0:
            return


def make_voice(draw: np.random.Generator) -> Wave:
    """(S,) noise whose level changes as that of syllables and pauses."""
    size, step = int(FILE_SECONDS * RATE), RATE // 8
    levels = draw.choice([0.001, 0.02, 0.1, 0.3], size // step + 1)
    wave = (
        0.3 * draw.standard_normal(size) * np.interp(np.arange(size), np.arange(len(levels)) * step, levels)
    )
    return np.asarray(wave, np.float32)


if __name__ == "__main__":
    main()
