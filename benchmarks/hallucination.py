"""Hallucination: text written for silence, noise, music and other languages.

    python -m benchmarks.hallucination MODEL SPEECH.jsonl --sounds DIR… [--ctc W]

Speech of the model's language, then synthetic silence, steady noise and tunes, then the audio files of each folder, for
example noises or another language. Counts files without text, flagged ones, and those with unflagged text.
"""

import argparse
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from asrattn import audio
from asrattn.audio.interface import Wave
from asrattn.audio.walker import find_audio
from asrattn.data import manifest
from asrattn.data.manifest import Utterance
from asrattn.inference.recognizer import Recognizer
from asrattn.inference.transcript import Transcript

SOUND_SECONDS = 5.0
SCALE_HZ = (220.0, 246.9, 277.2, 329.6, 370.0, 440.0, 493.9, 554.4)  # Hz


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="texts out of silence, noise, music and strange languages")
    parser.add_argument("model", type=Path, metavar="MODEL")
    parser.add_argument("speech", type=Path, metavar="SPEECH.jsonl")
    parser.add_argument("--sounds", type=Path, nargs="*", default=[], metavar="DIR")
    parser.add_argument("--most", type=int, default=100, help="files of each kind")
    parser.add_argument("--ctc", type=float, help="weight of the CTC score (default: the model's own)")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    recognizer = Recognizer.load(args.model, "cpu")
    if args.ctc is not None:
        recognizer.decoding = replace(recognizer.decoding, ctc=args.ctc)
    print(count_outcomes("speech", recognizer, subsample(manifest.read(args.speech), args.most)))
    with tempfile.TemporaryDirectory() as folder:
        for name, waves in (("silence", silence), ("steady noise", noise), ("tunes", tunes)):
            paths = []
            for number, wave in enumerate(waves(recognizer.rate)):
                paths.append(Path(folder, f"{name}-{number}.wav"))
                audio.write(paths[-1], wave, recognizer.rate)
            print(count_outcomes(name, recognizer, paths))
    for each in args.sounds:
        paths = find_audio(each)[0]
        print(count_outcomes(each.name, recognizer, subsample(paths, args.most)))


def count_outcomes(name: str, recognizer: Recognizer, sources: Sequence[Path | Utterance]) -> str:
    counts: Counter[str] = Counter()
    words = 0
    written, seconds = 0, 0.0  # flagged ones among them
    for outcome in recognizer.transcribe(sources):
        if not isinstance(outcome, Transcript):
            counts["unreadable"] += 1
            continue
        written += len(outcome.text.split())
        seconds += outcome.seconds
        if not outcome.text:
            counts["no text"] += 1
        elif outcome.flags:
            counts["flagged"] += 1
        else:
            counts["unflagged text"] += 1
            words += len(outcome.text.split())
    listed = ", ".join(f"{count} {kind}" for kind, count in counts.most_common())
    rate = 60 * written / max(seconds, 1e-9)
    return f"{name}: {len(sources)} files: {listed} ({words} words); {rate:.1f} words a minute, flagged ones included"


def subsample(items: Sequence[Path | Utterance], max_items: int) -> Sequence[Path | Utterance]:
    return items[:: -(-len(items) // max_items)] if items else items


def silence(rate: int) -> Iterator[Wave]:
    for level in (0.0, 1e-5, 1e-4):
        yield (level * np.random.default_rng(0).standard_normal(round(SOUND_SECONDS * rate))).astype(
            np.float32
        )


def noise(rate: int) -> Iterator[Wave]:
    """White, pink and brown, at three levels."""
    for color in (0.0, 0.5, 1.0):
        spectrum = np.fft.rfft(np.random.default_rng(1).standard_normal(round(SOUND_SECONDS * rate)))
        spectrum /= np.maximum(np.arange(len(spectrum)), 20.0) ** color
        wave = np.fft.irfft(spectrum)
        for level in (0.003, 0.03, 0.3):
            yield (level * wave / np.abs(wave).max()).astype(np.float32)


def tunes(rate: int, count: int = 30) -> Iterator[Wave]:
    """Melodies of plucked strings: each note begins loud and dies away."""
    random = np.random.default_rng(2)
    for _ in range(count):
        notes: list[np.ndarray] = []
        while sum(note.size for note in notes) < SOUND_SECONDS * rate:
            time = np.arange(round(random.choice([0.25, 0.5]) * rate)) / rate
            tone = sum(np.sin(2 * np.pi * k * random.choice(SCALE_HZ) * time) / k for k in (1, 2, 3, 4))
            notes.append(tone * np.exp(-random.uniform(3, 8) * time))
        wave = np.concatenate(notes)
        yield (0.4 * wave / np.abs(wave).max()).astype(np.float32)


if __name__ == "__main__":
    main()
