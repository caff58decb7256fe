"""Good files for `fuzz_files` to change: small models of several kinds, and checkpoints as training writes them."""

import io
import json
import struct
import tempfile
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from asrattn import checkpoint
from asrattn.decoders import RecurrentDecoderConfig, TransformerDecoderConfig
from asrattn.encoders import ConformerConfig, LSTMEncoderConfig
from asrattn.features import FeatureConfig
from asrattn.model import ModelConfig
from asrattn.model.speech_model import SpeechModel
from asrattn.text import BpeTokenizer, CharTokenizer, Tokenizer

TEXTS = ["the quick brown fox", "jumps over a lazy dog"]


def model_files() -> list[bytes]:
    """An LSTM over characters, and a Conformer over BPE."""
    front = FeatureConfig(rate=8000, mels=16)
    lstm = ModelConfig(
        front, LSTMEncoderConfig(dim=8, layers=1, channels=4), RecurrentDecoderConfig(dim=8, embedding=4)
    )
    conformer = ModelConfig(
        front,
        ConformerConfig(dim=8, layers=1, heads=2, ffn_dim=8, channels=4),
        TransformerDecoderConfig(layers=1, heads=2, ffn_dim=8),
    )
    return [_model(lstm, CharTokenizer.train(TEXTS)), _model(conformer, BpeTokenizer.train(TEXTS * 3, 40))]


def _model(config: ModelConfig, tokenizer: Tokenizer) -> bytes:
    torch.manual_seed(0)
    model = SpeechModel(ModelConfig(config.frontend, config.encoder, config.decoder, tokenizer.size))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        card: dict[str, Any] = {"name": "seed", "dev_wer": 12.5, "longest_seconds": 12.0}
        card |= {"doubts": {"decoder": 0.7, "ctc": 2.0}, "command": ["asrattn", "train"]}
        checkpoint.save(path, model, tokenizer, card)
        return path.read_bytes()


def state(model: bytes) -> dict[str, torch.Tensor]:
    return safetensors.torch.load(model)


def without_checksum(model: bytes) -> bytes:
    """As asrattn 0.2.0 wrote it."""
    size = struct.unpack("<Q", model[:8])[0]
    header = json.loads(model[8 : 8 + size])
    plain = json.loads(header["__metadata__"]["asrattn"])
    del plain["checksum"]
    header["__metadata__"]["asrattn"] = json.dumps(plain)
    written = json.dumps(header).encode()
    return struct.pack("<Q", len(written)) + written + model[8 + size :]


def checkpoints() -> list[bytes]:
    """With the parts that Lightning and asrattn write."""
    network = torch.nn.Linear(20, 30)
    optimizer = torch.optim.AdamW(network.parameters())
    network(torch.ones(2, 20)).sum().backward()
    optimizer.step()
    content = {
        "asrattn": json.dumps({"recipe": {"model": {}}, "seed": 0, "history": []}),
        "callbacks": {"BestCheckpoint": {"progress": "{}"}},
        "epoch": 1,
        "epoch_so_far": json.dumps({"steps": 3}),
        "global_step": 7,
        "loops": {"fit_loop": {"epoch_loop.batch_progress": {"is_last_batch": True}}},
        "optimizer_states": [optimizer.state_dict()],
        "state_dict": network.state_dict(),
    }
    out = io.BytesIO()
    torch.save(content, out)
    return [out.getvalue()]


def content(saved: bytes) -> Any:
    return torch.load(io.BytesIO(saved), weights_only=True)


def is_same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and torch.equal(one, other)
    if isinstance(one, dict):
        return (
            isinstance(other, dict)
            and one.keys() == other.keys()
            and all(is_same(one[k], other[k]) for k in one)
        )
    if isinstance(one, list | tuple):
        return isinstance(other, list | tuple) and len(one) == len(other) and all(map(is_same, one, other))
    return bool(one == other)
