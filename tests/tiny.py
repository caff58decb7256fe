"""A tiny untrained model and made sounds, for tests of what surrounds the model."""

from pathlib import Path

import numpy as np
import torch

from asrattn import audio, checkpoint
from asrattn.config import JSONValue
from asrattn.decoders import RecurrentDecoderConfig
from asrattn.decoding import DecodingConfig
from asrattn.encoders import LSTMEncoderConfig
from asrattn.features import FeatureConfig
from asrattn.model import ModelConfig
from asrattn.model.speech_model import SpeechModel
from asrattn.text import CharTokenizer

RATE = 8000
TOKENIZER = CharTokenizer.train(["the quick brown fox", "jumps over a lazy dog"])
DECODING = DecodingConfig(beam_size=3, max_length=0.5)  # untrained models know no end


def config(vocabulary: int = TOKENIZER.size) -> ModelConfig:
    return ModelConfig(
        FeatureConfig(rate=RATE, mels=16),
        LSTMEncoderConfig(dim=8, layers=1, channels=4, norm="none"),  # a norm would even the sounds out
        RecurrentDecoderConfig(dim=8, embedding=4),
        vocabulary=vocabulary,
    )


def model(seed: int = 0) -> SpeechModel:
    """Untrained; the weights are large, so that different sounds give different texts."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = SpeechModel(config())
        for weight in made.parameters():
            torch.nn.init.normal_(weight, std=0.6)
    return made.eval()


def card(seed: int = 0) -> dict[str, JSONValue]:
    doubts: dict[str, JSONValue] = {
        "decoder": 1e9,
        "ctc": 1e9,
    }  # an untrained model is to be doubted everywhere
    return {"name": "tiny", "dev_wer": 12.5, "seed": seed, "doubts": doubts}


def model_file(folder: Path, seed: int = 0) -> Path:
    path = folder / "model.safetensors"
    checkpoint.save(path, model(seed), TOKENIZER, card(seed), DECODING)
    return path


def wave(seconds: float, seed: int = 0, rate: int = RATE) -> np.ndarray:
    """(S,) a voice-like buzz that comes and goes, never louder than 0.5."""
    random = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    pitch = 100 + 60 * np.sin(2 * np.pi * random.uniform(0.3, 1.0) * time + random.uniform(0, 6))
    buzz = np.sign(np.sin(2 * np.pi * np.cumsum(pitch) / rate)) * 0.3
    beat = np.sin(np.pi * random.uniform(1.5, 3.0) * time) ** 2
    return (buzz * beat + 0.01 * random.standard_normal(len(time))).astype(np.float32)


def sound(path: Path, seconds: float, seed: int = 0, rate: int = RATE) -> Path:
    audio.write(path, wave(seconds, seed, rate), rate)
    return path
