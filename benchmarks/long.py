"""Recognising long recordings: python -m benchmarks.long MODEL MANIFEST --help.

The utterances of a manifest are joined in their order, again and again until there are so many minutes, and read as one
file. Their own WER, heard one by one, is what it is held against; and the memory, the one for a minute.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from asrattn import audio, manifest
from asrattn.audio import speech
from asrattn.audio.sound import Wave
from asrattn.audio.speech import KINDS, Kind
from asrattn.manifest import Utterance
from asrattn.recognizer import Recognizer
from asrattn.scoring import ErrorCounts, score, total
from asrattn.transcript import Transcript
from benchmarks.apart import apart, resident


class Heard(NamedTuple):
    """Of one process; peak in bytes."""

    words: ErrorCounts
    flags: tuple[str, ...]
    cpu: float
    peak: float


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description="long recordings", formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("model", type=Path, metavar="MODEL")
    parser.add_argument("manifest", type=Path, metavar="MANIFEST")
    parser.add_argument("--minutes", type=float, nargs="+", default=[1.0, 30.0])
    parser.add_argument("--vad", nargs="+", choices=KINDS, default=["level"])
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args(argv)
    print(line("one by one", apart(alone, args)))
    with tempfile.TemporaryDirectory() as folder:
        for minutes in args.minutes:
            path = Path(folder) / f"{minutes:g}.wav"
            text = join(manifest.read(args.manifest), minutes, path)
            for vad in args.vad:
                print(line(f"{minutes:g} min, {vad}", apart(together, args, path, text, vad)), flush=True)


def alone(args: argparse.Namespace) -> Heard:
    torch.set_num_threads(args.threads)
    recognizer = Recognizer.load(args.model, "cpu")
    utterances = manifest.read(args.manifest)
    found = recognizer.evaluate(utterances)
    texts = [getattr(outcome, "text", "") for outcome in found.outcomes]
    words = total([score(u.id, u.text, text).words for u, text in zip(utterances, texts, strict=True)])
    flags = tuple(sorted({flag for outcome in found.outcomes for flag in getattr(outcome, "flags", ())}))
    return Heard(words, flags, found.cpu_seconds / found.audio_seconds, resident())


def together(args: argparse.Namespace, path: Path, text: str, vad: Kind) -> Heard:
    torch.set_num_threads(args.threads)
    recognizer = Recognizer.load(args.model, "cpu")
    recognizer.find = speech.finder(vad)
    started = time.process_time()
    (outcome,) = recognizer.transcribe([path], words=True)
    cpu = time.process_time() - started
    held = resident()  # scoring hours as one utterance needs more
    assert isinstance(outcome, Transcript)
    return Heard(score("", text, outcome.text).words, outcome.flags, cpu / outcome.seconds, held)


def join(utterances: Sequence[Utterance], minutes: float, path: Path) -> str:
    """Write the sound; its text."""
    rate = audio.info(Path(utterances[0].audio)).rate
    waves: list[Wave] = []
    texts, seconds = [], 0.0
    while seconds < 60 * minutes:
        utterance = utterances[len(waves) % len(utterances)]
        waves.append(audio.read(Path(utterance.audio), rate, utterance.start, utterance.seconds))
        texts.append(utterance.text)
        seconds += len(waves[-1]) / rate
    audio.write(path, np.concatenate(waves), rate)
    return " ".join(texts)


def line(name: str, heard: Heard) -> str:
    words = heard.words
    return (
        f"{name:16} WER {100 * words.rate:5.2f} %   S {words.substitutions} D {words.deletions} "
        f"I {words.insertions} of {words.words}   {heard.cpu:.4f} CPU-s/audio-s   "
        f"peak {heard.peak / 1e9:.3f} GB   {', '.join(heard.flags)}"
    )


if __name__ == "__main__":
    main()
