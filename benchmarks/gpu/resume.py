"""A run that is stopped within an epoch and resumed, against one that is not, and one that is not again."""

import csv
import os
import random
import signal
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from asrattn import audio, checkpoint
from asrattn.data import manifest
from asrattn.data.manifest import Utterance
from asrattn.decoders import RecurrentDecoderConfig
from asrattn.decoding import DecodingConfig
from asrattn.encoders import ConformerConfig, EncoderConfig, LSTMEncoderConfig
from asrattn.errors import StoppedError
from asrattn.features import FeatureConfig
from asrattn.model import ModelConfig
from asrattn.training.fit import fit
from asrattn.training.recipe import DataConfig, Recipe, TrainConfig
from asrattn.training.time_profile import TimeProfiler
from benchmarks.gpu import tables

RATE = 8000
ENCODERS: dict[str, EncoderConfig] = {
    "LSTM": LSTMEncoderConfig(dim=32, layers=2, channels=8),
    "Conformer": ConformerConfig(dim=32, layers=2, ffn_dim=64, channels=8),
}
COMPARED = ("train_total", "dev_loss")


class Stop(TimeProfiler):
    """A Clock that presses Ctrl-C in the second step of the second epoch."""

    def on_train_batch_start(self, *hook: Any) -> None:
        super().on_train_batch_start(*hook)
        trainer, module = hook[:2]
        if (trainer.current_epoch, module.steps) == (1, 1):
            os.kill(os.getpid(), signal.SIGINT)


def measure(device: str, small: bool) -> None:
    """Print how far apart the runs end: losses of the last epoch, and weights."""
    tables.begin(
        "Resume",
        "Three runs of two epochs on synthetic audio (CPU: fp32, GPU: bf16): one, one again, and one stopped in the "
        "second epoch and resumed. Relative differences from the first one, that of all weights in the 2-norm.",
        ["encoder", "run", *COMPARED, "weights", "the same to the bit"],
        device,
    )
    with tempfile.TemporaryDirectory() as folder:
        corpus = write_corpus(Path(folder) / "corpus")
        for name, encoder in ENCODERS.items() if not small else [("LSTM", ENCODERS["LSTM"])]:
            compare(name, small_recipe(encoder, device), corpus, Path(folder) / name, device)


def compare(name: str, recipe: Recipe, corpus: Path, out: Path, device: str) -> None:
    accelerator = "gpu" if device == "cuda" else device
    for run in ("through", "again"):
        fit(recipe, corpus, out / run, accelerator=accelerator)
    try:
        fit(recipe, corpus, out / "resumed", accelerator=accelerator, callbacks=(Stop(),))
    except StoppedError:
        fit(recipe, corpus, out / "resumed", accelerator=accelerator, resume=True)
    else:
        raise AssertionError("the run was not stopped")
    for run in ("again", "resumed"):
        losses = [f"{apart(last(out / 'through', each), last(out / run, each)):.2g}" for each in COMPARED]
        weights = weights_apart(out / "through", out / run)
        tables.row([name, run, *losses, f"{weights:.2g}", "yes" if weights == 0 else "no"])


def small_recipe(encoder: EncoderConfig, device: str) -> Recipe:
    decoder = RecurrentDecoderConfig(dim=32, embedding=16)
    return Recipe(
        "resume",
        ModelConfig(FeatureConfig(rate=RATE, mels=40), encoder, decoder),
        data=DataConfig(batch_seconds=5.0),
        train=TrainConfig(epochs=2, precision="fp32" if device == "cpu" else "bf16"),
        decoding=DecodingConfig(beam_size=2, max_length=0.3),
    )


def write_corpus(folder: Path) -> Path:
    """Noise with random texts: train.jsonl and dev.jsonl."""
    draw, noise = random.Random(tables.SEED), np.random.default_rng(tables.SEED)
    for split, count in (("train", 12), ("dev", 2)):
        utterances = []
        for number in range(count):
            name, seconds = f"{split}-{number:02}", draw.uniform(0.8, 1.6)
            path = folder / f"{name}.wav"
            wave = 0.1 * noise.standard_normal(round(seconds * RATE))
            audio.write(path, wave.astype(np.float32), RATE)
            text = "".join(draw.choices("abcd ", k=6)).strip() or "a"
            utterances.append(
                Utterance(name, str(path), " ".join(text.split()), len(wave) / RATE, speaker=name)
            )
        manifest.write(folder / f"{split}.jsonl", utterances)
    return folder


def last(run: Path, column: str) -> float:
    """Of the last epoch."""
    with (run / "metrics.csv").open(encoding="utf-8") as table:
        return float(list(csv.DictReader(table))[-1][column])


def apart(one: float, other: float) -> float:
    return abs(one - other) / abs(one)


def weights_apart(one: Path, other: Path) -> float:
    models = [checkpoint.load(run / "model.safetensors").model for run in (one, other)]
    ours, theirs = (
        np.concatenate([w.double().numpy().ravel() for w in m.state_dict().values()]) for m in models
    )
    return float(np.linalg.norm(ours - theirs) / np.linalg.norm(ours))
