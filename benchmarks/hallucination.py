"""Words that models invent a minute where nobody speaks: silence, noises, tones like music, recorded noise.

    python -m benchmarks.hallucination MODEL… [--noise FOLDER] [--minutes 2]

A model with a trained CTC head is measured twice: with its own decoding, and by the decoder alone (--ctc 0).
"""

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from asrattn import audio
from asrattn.audio import EXTENSIONS
from asrattn.audio.interface import Wave
from asrattn.inference.recognizer import Recognizer
from asrattn.inference.transcript import Transcript

RATE = 16000
PIECE_SECONDS = 5.0  # as long as a recorded noise of ESC-50
SCALE_HZ = (262, 294, 330, 349, 392, 440, 494, 523)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL")
    parser.add_argument("--noise", type=Path, metavar="FOLDER", help="recorded noise, such as ESC-50's")
    parser.add_argument("--minutes", type=float, default=2.0, help="of each kind (default: 2)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        kinds = dict(_kinds(Path(folder), args.noise, args.minutes))
        for model in args.models:
            recognizer = Recognizer.load(model, "cpu")
            own = recognizer.decoding
            settings = [own, replace(own, ctc=0.0)] if own.ctc and recognizer.has_ctc else [own]
            for decoding in settings:
                rates = {
                    kind: _rate(list(recognizer.transcribe(files, decoding))) for kind, files in kinds.items()
                }
                told = "   ".join(f"{kind} {rate:.1f}" for kind, rate in rates.items())
                print(f"{model.name} ctc {decoding.ctc:g}: words a minute   {told}", flush=True)


def _rate(outcomes: list[object]) -> float:
    """Words a minute."""
    found = [outcome for outcome in outcomes if isinstance(outcome, Transcript)]
    return 60 * sum(len(each.text.split()) for each in found) / sum(each.seconds for each in found)


def _kinds(folder: Path, recorded: Path | None, minutes: float) -> Iterator[tuple[str, list[Path]]]:
    count = round(60 * minutes / PIECE_SECONDS)
    for kind in ("silence", "white", "brown", "tones"):
        files = []
        for number in range(count):
            files.append(folder / f"{kind}-{number}.wav")
            audio.write(files[-1], _sound(kind, np.random.default_rng(number)), RATE)
        yield kind, files
    if recorded:
        found = sorted(path for path in recorded.rglob("*") if path.suffix.lower() in EXTENSIONS)
        yield "recorded", found[:: max(1, len(found) // count)][:count]


def _sound(kind: str, random: np.random.Generator) -> Wave:
    size = round(PIECE_SECONDS * RATE)
    level = 10 ** random.uniform(-2.5, -1)
    if kind == "silence":
        wave = random.standard_normal(size) * 1e-4
    elif kind == "tones":
        time = np.arange(size) / RATE
        beats = random.choice(SCALE_HZ, size=(int(PIECE_SECONDS * 2), 2))[(time * 2).astype(int)]
        wave = level * np.sin(2 * np.pi * beats * time[:, None]).sum(1) * np.exp(-(time * 2 % 1) * 3)
    else:
        wave = random.standard_normal(size)
        wave = np.cumsum(wave) if kind == "brown" else wave
        wave = level * (wave - wave.mean()) / wave.std()
    return np.asarray(wave.clip(-1, 1), np.float32)


if __name__ == "__main__":
    main()
