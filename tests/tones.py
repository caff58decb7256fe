"""A language of tones: each letter has a pitch. Learnt in seconds, it stands in for speech."""

from pathlib import Path
from typing import Any

import numpy as np

from asrattn import audio
from asrattn.augment import AugmentConfig
from asrattn.data import manifest
from asrattn.data.manifest import Utterance
from asrattn.decoders import RecurrentDecoderConfig
from asrattn.decoding import DecodingConfig
from asrattn.encoders import LSTMEncoderConfig
from asrattn.features import FeatureConfig
from asrattn.model import ModelConfig
from asrattn.training.optimizers import AdamWConfig
from asrattn.training.recipe import DataConfig, Recipe, TrainConfig

RATE = 8000
PITCH = {"a": 300, "b": 600, "c": 1100, "d": 1900, " ": 0}


def sing(text: str, seconds: float = 0.12) -> np.ndarray:
    """(S,) a tone for each letter, silence for a space."""
    time = np.arange(int(seconds * RATE)) / RATE
    tones = [0.3 * np.sin(2 * np.pi * PITCH[c] * time) for c in text]
    noise = np.random.default_rng(len(text)).normal(0, 0.003, len(time) * len(text))
    return (np.concatenate(tones) + noise).astype(np.float32)


def utterance(folder: Path, name: str, text: str) -> Utterance:
    path = folder / f"{name}.wav"
    wave = sing(text)
    audio.write(path, wave, RATE)
    return Utterance(name, str(path), text, len(wave) / RATE, speaker=name[0])


def write_corpus(folder: Path, train: int = 24, dev: int = 7) -> Path:
    """train.jsonl and dev.jsonl of random words."""
    draw = np.random.default_rng(0)
    for split, count in (("train", train), ("dev", dev)):
        texts = ["".join(draw.choice(list("abcd"), draw.integers(2, 8))) for _ in range(count)]
        spaced = [t[:2] + " " + t[2:] if len(t) > 3 else t for t in texts]
        utterances = [utterance(folder / "wav", f"{split}-{i:03}", t) for i, t in enumerate(spaced)]
        manifest.write(folder / f"{split}.jsonl", utterances)
    return folder


def recipe(learning_rate: float = 5e-3, **train: Any) -> Recipe:
    """The smallest that learns tones."""
    return Recipe(
        name="tones",
        model=ModelConfig(
            frontend=FeatureConfig(rate=RATE, mels=16),
            encoder=LSTMEncoderConfig(dim=16, layers=1, channels=8, dropout=0.0),
            decoder=RecurrentDecoderConfig(dim=16, embedding=8, dropout=0.0),
        ),
        data=DataConfig(batch_seconds=4.0),
        augment=AugmentConfig(frequency_width=2, time_width=4),
        train=TrainConfig(
            **{
                "epochs": 2,
                "precision": "fp32",
                "optimizer": AdamWConfig(learning_rate=learning_rate),
                **train,
            }
        ),
        decoding=DecodingConfig(beam_size=2),
    )
