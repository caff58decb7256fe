"""Recognition of long recordings: python -m benchmarks.long_form MODEL MANIFEST --help.

The utterances of a manifest are joined in their order, again and again until there are so many minutes, and read as one
file. Their WER one by one is the baseline; for the memory it is a file of one minute.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from asrattn import audio
from asrattn.audio import vad
from asrattn.audio.interface import Wave
from asrattn.audio.vad import VAD_KINDS, VADKind
from asrattn.data import manifest
from asrattn.data.manifest import Utterance
from asrattn.inference.recognizer import Recognizer
from asrattn.inference.transcript import Transcript
from asrattn.metrics import ErrorCounts, score_utterance, sum_counts
from benchmarks.isolation import peak_rss_bytes, run_isolated


class LongFormResult(NamedTuple):
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
    parser.add_argument("--vad", nargs="+", choices=VAD_KINDS, default=["level"])
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args(argv)
    print(format_result("one by one", run_isolated(recognize_utterances, args)))
    with tempfile.TemporaryDirectory() as folder:
        for minutes in args.minutes:
            path = Path(folder) / f"{minutes:g}.wav"
            text = write_joined_audio(manifest.read(args.manifest), minutes, path)
            for vad in args.vad:
                print(
                    format_result(
                        f"{minutes:g} min, {vad}", run_isolated(recognize_joined, args, path, text, vad)
                    ),
                    flush=True,
                )


def recognize_utterances(args: argparse.Namespace) -> LongFormResult:
    torch.set_num_threads(args.threads)
    recognizer = Recognizer.load(args.model, "cpu")
    utterances = manifest.read(args.manifest)
    found = recognizer.evaluate(utterances)
    texts = [getattr(outcome, "text", "") for outcome in found.outcomes]
    words = sum_counts(
        [score_utterance(u.id, u.text, text).words for u, text in zip(utterances, texts, strict=True)]
    )
    flags = tuple(sorted({flag for outcome in found.outcomes for flag in getattr(outcome, "flags", ())}))
    return LongFormResult(words, flags, found.cpu_seconds / found.audio_seconds, peak_rss_bytes())


def recognize_joined(args: argparse.Namespace, path: Path, text: str, vad_kind: VADKind) -> LongFormResult:
    torch.set_num_threads(args.threads)
    recognizer = Recognizer.load(args.model, "cpu")
    recognizer.vad = vad.make_speech_detector(vad_kind)
    started = time.process_time()
    (outcome,) = recognizer.transcribe([path], words=True)
    cpu = time.process_time() - started
    held = peak_rss_bytes()  # scoring hours as one utterance needs more
    assert isinstance(outcome, Transcript)
    return LongFormResult(
        score_utterance("", text, outcome.text).words, outcome.flags, cpu / outcome.seconds, held
    )


def write_joined_audio(utterances: Sequence[Utterance], minutes: float, path: Path) -> str:
    """Write the audio; returns its text."""
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


def format_result(name: str, result: LongFormResult) -> str:
    words = result.words
    return (
        f"{name:16} WER {100 * words.rate:5.2f} %   S {words.substitutions} D {words.deletions} "
        f"I {words.insertions} of {words.words}   {result.cpu:.4f} CPU-s/audio-s   "
        f"peak {result.peak / 1e9:.3f} GB   {', '.join(result.flags)}"
    )


if __name__ == "__main__":
    main()
