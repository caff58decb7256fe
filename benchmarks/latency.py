"""How long after a word a stream tells it: python -m benchmarks.latency MODEL MANIFEST --help.

Words put together with known borders, as in `benchmarks.word_timing`, are fed in small chunks; time is that
of the audio.
"""

import argparse
import random
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from asrattn.data import manifest
from asrattn.inference.recognizer import Recognizer
from benchmarks.word_timing import JoinedWords, join_words

CHUNK_SECONDS = 0.02  # seconds


def main(argv: Sequence[str] | None = None) -> None:
    """Print medians and 90th percentiles, how often the stable words were right, and what it cost."""
    parser = argparse.ArgumentParser(description="latency of a stream")
    parser.add_argument("model", type=Path, metavar="MODEL")
    parser.add_argument("manifest", type=Path, metavar="MANIFEST")
    parser.add_argument("--utterances", type=int, default=50)
    parser.add_argument("--words", type=int, default=6, help="in each of them")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    recognizer = Recognizer.load(args.model, "cpu")
    single = [u for u in manifest.read(args.manifest) if len(u.text.split()) == 1]
    draw = random.Random(0)
    made = [join_words(single, args.words, recognizer.rate, draw) for _ in range(args.utterances)]
    started = time.process_time()
    found = [measure_latency(recognizer, each) for each in made]
    spent = time.process_time() - started
    stable, ends, kept = ([x for each in part for x in each] for part in zip(*found, strict=True))
    print(
        f"{len(stable)} words stable after: {format_latencies(stable)}; "
        f"{100 * np.mean(kept):.1f} % of them stay to the end"
    )
    print(f"{len(ends)} utterances ended after: {format_latencies(ends)}")
    print(
        f"{spent / sum(len(each.wave) / recognizer.rate for each in made):.4f} CPU-seconds a second of audio"
    )


def format_latencies(seconds: Sequence[float]) -> str:
    return f"median {np.median(seconds):.2f} s, 90 % within {np.percentile(seconds, 90):.2f} s"


def measure_latency(
    recognizer: Recognizer, joined: JoinedWords
) -> tuple[list[float], list[float], list[bool]]:
    """Seconds from the end of each word until it is stable, and from the last one's until the utterance has ended;
    and of each stable word whether the final text has it in its place.

    A second of quiet is put behind. Only what is told before the utterance ends counts as stable.
    """
    rate, size = recognizer.rate, round(CHUNK_SECONDS * recognizer.rate)
    quiet = 1e-3 * np.random.default_rng(0).standard_normal(rate)
    wave = np.concatenate([joined.wave, quiet]).astype(np.float32)
    stream, stable, ends, kept = recognizer.stream(), [], [], []
    words: list[str] = []
    done = 0
    for at in range(0, len(wave), size):
        now = min(at + size, len(wave)) / rate
        for heard in stream.feed(wave[at : at + size]):
            told_now = heard.stable.split()
            if heard.final:
                kept += [a == b for a, b in zip(words, told_now, strict=False)]
                done += len(told_now)
                words = []
                if done >= len(joined.words):
                    ends.append(now - joined.words[-1].end)
                continue
            new = joined.words[done + len(words) : done + len(told_now)]
            stable += [now - word.end for word in new]
            words = told_now
    return stable, ends, kept


if __name__ == "__main__":
    main()
