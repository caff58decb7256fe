"""Error of word times: python -m benchmarks.word_timing MODEL MANIFEST --help.

The manifest's utterances of one word are trimmed and concatenated, half of them without a pause, so their true
boundaries are known. The model aligns the known text.
"""

import argparse
import random
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from asrattn import audio
from asrattn.audio.interface import Wave
from asrattn.data import manifest
from asrattn.data.manifest import Utterance
from asrattn.inference.recognizer import Recognizer
from asrattn.inference.transcript import Word

HOP_SECONDS = 0.005  # seconds that loudness is measured over
TRIM_DB = 35.0  # decibels below the loudest place of a word: what lies lower at its ends is not part of it


class JoinedWords(NamedTuple):
    """A wave (S,), its words with their true times, and for each border between two whether there is a pause."""

    wave: Wave
    words: list[Word]
    pauses: list[bool]


def main(argv: Sequence[str] | None = None) -> None:
    """Print median and 90th percentile of the errors of both alignment sources, and how far apart these are."""
    parser = argparse.ArgumentParser(description="errors of word times against known borders")
    parser.add_argument("model", type=Path, metavar="MODEL")
    parser.add_argument("manifest", type=Path, metavar="MANIFEST")
    parser.add_argument("--utterances", type=int, default=100)
    parser.add_argument("--words", type=int, default=4, help="in each of them")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    recognizer = Recognizer.load(args.model, "cpu")
    single = [u for u in manifest.read(args.manifest) if len(u.text.split()) == 1]
    print(f"{len(single)} utterances of one word, by {len({u.speaker for u in single})} speakers")
    draw = random.Random(args.seed)
    made = [join_words(single, args.words, recognizer.rate, draw) for _ in range(args.utterances)]
    tokens = [recognizer.tokenizer.encode(" ".join(w.text for w in each.words)) for each in made]
    aligned = {}
    for by in ("ctc", "attention"):
        aligned[by] = [recognizer.align([m.wave], [t], by)[0] for m, t in zip(made, tokens, strict=True)]
        print(
            f"{by:10}"
            + "   ".join(format_errors(name, off) for name, off in boundary_errors(made, aligned[by]).items())
        )
    apart = [
        abs(1000 * (a - b))
        for ours, theirs in zip(aligned["ctc"], aligned["attention"], strict=True)
        for one, other in zip(ours, theirs, strict=True)
        for a, b in ((one.start, other.start), (one.end, other.end))
    ]
    print(format_errors("between the two", apart))


def join_words(single: Sequence[Utterance], count: int, rate: int, draw: random.Random) -> JoinedWords:
    """Words of one speaker, if there are enough, with silence of a faint noise around them."""
    speaker = draw.choice(single).speaker
    own = [u for u in single if u.speaker == speaker]
    chosen = draw.choices(own if len(own) > 1 else single, k=count)
    noise = np.random.default_rng(draw.randrange(2**31))
    parts, words, pauses, at = [], [], [], 0.0
    for number, utterance in enumerate(chosen):
        paused = number == 0 or draw.random() < 0.5
        gap = round(draw.uniform(0.1, 0.4) * rate) if paused else 0
        sound = trim_silence(audio.read(Path(utterance.audio), rate), rate)
        pauses += [paused] if number else []
        at += gap / rate
        words.append(Word(utterance.text, at, at + len(sound) / rate))
        at += len(sound) / rate
        parts += [np.zeros(gap, np.float32), sound]
    wave = np.concatenate([*parts, np.zeros(rate // 5, np.float32)])
    return JoinedWords((wave + 1e-3 * noise.standard_normal(len(wave))).astype(np.float32), words, pauses)


def trim_silence(wave: Wave, rate: int) -> Wave:
    """Of one loudness, from the first to the last place that is not quiet."""
    hop = round(HOP_SECONDS * rate)
    levels = 10 * np.log10(np.square(wave[: len(wave) // hop * hop].reshape(-1, hop)).mean(1) + 1e-10)
    loud = np.flatnonzero(levels > levels.max() - TRIM_DB)
    cut = wave[loud[0] * hop : (loud[-1] + 1) * hop]
    even: Wave = (0.3 * cut / np.abs(cut).max()).astype(np.float32)
    return even


def boundary_errors(made: Sequence[JoinedWords], aligned: Sequence[Sequence[Word]]) -> dict[str, list[float]]:
    """Milliseconds that a begin or an end is off, by what is there."""
    found: dict[str, list[float]] = {"all": [], "at pauses": [], "without pause": []}
    for joined, words in zip(made, aligned, strict=True):
        for i, (true, word) in enumerate(zip(joined.words, words, strict=True)):
            begin, end = (1000 * abs(a - b) for a, b in ((true.start, word.start), (true.end, word.end)))
            before = i == 0 or joined.pauses[i - 1]
            after = i == len(words) - 1 or joined.pauses[i]
            found["all"] += [begin, end]
            found["at pauses" if before else "without pause"].append(begin)
            found["at pauses" if after else "without pause"].append(end)
    return found


def format_errors(name: str, off: Sequence[float]) -> str:
    return f"{name}: median {np.median(off):.0f} ms, 90 % below {np.percentile(off, 90):.0f} ms ({len(off)})"


if __name__ == "__main__":
    main()
