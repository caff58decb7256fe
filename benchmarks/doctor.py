"""Warnings of the attention doctor in runs made to fail: python -m benchmarks.doctor RECIPE.py DATA OUT

The recipe as it is (good), then with ten times its learning rate (hot); with the texts of train shuffled among its
recordings (shuffled); and without CTC on recordings of four utterances each (long). DATA is kept as it is: the spoilt
corpora and the runs go to OUT.
"""

import argparse
import itertools
import logging
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from asrattn import audio
from asrattn.config import override
from asrattn.data import manifest
from asrattn.data.manifest import Utterance
from asrattn.inference.recognizer import Recognizer
from asrattn.inference.segmentation import read_waves
from asrattn.training.fit import fit
from asrattn.training.recipe import Recipe

RUNS = ("good", "hot", "shuffled", "long")
RATE = 16_000  # of the long recordings, in Hz
UTTERANCES_PER_RECORDING = 4  # utterances in one of them


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="warnings of the attention doctor in runs made to fail")
    parser.add_argument("recipe", type=Path, metavar="RECIPE.py")
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--epochs", type=int, default=10, help="of each run; three times as many without CTC")
    parser.add_argument(
        "--set", action="append", default=[], dest="settings", help="changes a setting, for all"
    )
    parser.add_argument("--only", choices=RUNS)
    args = parser.parse_args(argv)
    seen = [f"train.epochs={args.epochs}", "train.validate_every=1", "train.samples=0"]
    recipe = override(Recipe.load(args.recipe), [*args.settings, *seen])
    warnings = WarningCollector()
    logging.getLogger("asrattn").addHandler(warnings)
    for name in (args.only,) if args.only else RUNS:
        report_run(name, *make_run(name, recipe, args.data, args.out), args.out / name, warnings)


def make_run(name: str, recipe: Recipe, data: Path, out: Path) -> tuple[Recipe, Path]:
    """The recipe and the corpus of a run."""
    train = recipe.train
    match name:
        case "hot":
            rate = 10 * train.optimizer.learning_rate
            return override(recipe, [f"train.optimizer.learning_rate={rate}"]), data
        case "shuffled":
            return recipe, shuffle_transcripts(data, out / "corpus-shuffled")
        case "long":
            alone = override(recipe, ["loss.ctc=0", f"train.epochs={3 * train.epochs}"])
            return alone, join_utterances(data, out / "corpus-long")
    return recipe, data


class WarningCollector(logging.Handler):
    """Keeps the warnings of a run."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def report_run(name: str, recipe: Recipe, data: Path, out: Path, collector: WarningCollector) -> None:
    collector.messages.clear()
    model = fit(recipe, data, out, seed=0)
    wer = Recognizer.load(model).card["dev_wer"]
    assert isinstance(wer, float)
    warned = [text for text in collector.messages if text.startswith("attention has not begun")]
    print(f"{name}: best dev WER {wer:.1f} %, warned {len(warned)} times", flush=True)
    if warned:
        print(f"    first: {warned[0]}", flush=True)


def shuffle_transcripts(data: Path, to: Path) -> Path:
    """The texts of train on other recordings, dev as it is."""
    utterances = manifest.read(data / "train.jsonl")
    texts = [u.text for u in utterances]
    random.Random(0).shuffle(texts)
    to.mkdir(parents=True, exist_ok=True)
    wrong = [replace(u, text=text) for u, text in zip(utterances, texts, strict=True)]
    manifest.write(to / "train.jsonl", wrong)
    manifest.write(to / "dev.jsonl", manifest.read(data / "dev.jsonl"))
    return to


def join_utterances(data: Path, to: Path) -> Path:
    """Recordings of EACH utterances of one speaker, one after the other; what is left over is left out."""
    for split in ("train", "dev"):
        utterances = sorted(manifest.read(data / f"{split}.jsonl"), key=lambda u: (u.speaker, u.id))
        (to / split).mkdir(parents=True, exist_ok=True)
        manifest.write(to / f"{split}.jsonl", _joined(utterances, to / split))
    return to


def _joined(utterances: Sequence[Utterance], to: Path) -> Iterator[Utterance]:
    for speaker, own in itertools.groupby(utterances, lambda u: u.speaker):
        items = list(own)
        for at in range(0, len(items) - UTTERANCES_PER_RECORDING + 1, UTTERANCES_PER_RECORDING):
            some = items[at : at + UTTERANCES_PER_RECORDING]
            wave = np.concatenate([piece for u in some for piece in read_waves(u, RATE)])
            path = to / f"{some[0].id}.wav"
            audio.write(path, wave, RATE)
            text = " ".join(u.text for u in some)
            yield Utterance(some[0].id, str(path.absolute()), text, len(wave) / RATE, speaker)


if __name__ == "__main__":
    main()
