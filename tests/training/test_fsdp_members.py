"""FSDP: every feature type, optimizer and precision of the unions takes its steps, validates and saves."""

from pathlib import Path
from typing import get_args

import launch
import pytest
import tones

from asrattn import checkpoint
from asrattn.features.config import FeatureKind
from asrattn.training.optimizers import OptimizerConfig
from asrattn.training.recipe import Precision

pytestmark = pytest.mark.multi

RECIPE = """
import sys
from dataclasses import replace
sys.path.insert(0, {tests!r})
import tones
from asrattn.encoders import WhisperEncoderConfig
from asrattn.features import FeatureConfig
RECIPE = tones.recipe(epochs=1)
FRONT, ENCODER = {parts}
RECIPE = replace(RECIPE, model=replace(RECIPE.model, frontend=FRONT, encoder=ENCODER or RECIPE.model.encoder))
"""
SAME = "replace(RECIPE.model.frontend, kind={kind!r}, coefficients=8), None"
WHISPER = (
    "FeatureConfig.whisper(), WhisperEncoderConfig(dim=16, layers=1, heads=2, ffn_dim=16, silence_samples=0)"
)
PARTS = {kind: SAME.format(kind=kind) for kind in ("log-mel", "mfcc", "spectrogram")} | {"whisper": WHISPER}
# Each member once, beside the others': one pair of processes for each.
MEMBERS = [
    ("log-mel", "adamw", "bf16"),
    ("mfcc", "adam", "fp32"),
    ("spectrogram", "sgd", "fp32"),
    ("whisper", "muon", "fp32"),
    ("log-mel", "sgd", "bf16"),
]
NEEDS_GPU = {"fp16"}
PRETRAINED = {"wave", "seamless"}  # of transformers, whose modules have no layers that are sharded one by one


def test_no_member_is_forgotten() -> None:
    kinds, optimizers, precisions = (set(members) for members in zip(*MEMBERS, strict=True))
    assert kinds == set(get_args(FeatureKind)) - PRETRAINED
    assert optimizers == {member().kind for member in get_args(OptimizerConfig)}
    assert precisions == set(get_args(Precision)) - NEEDS_GPU


@pytest.mark.parametrize(("kind", "optimizer", "precision"), MEMBERS)
def test_a_sharded_run_ends_well(
    corpus: Path, tmp_path: Path, kind: str, optimizer: str, precision: str
) -> None:
    recipe = tmp_path / "recipe.py"
    recipe.write_text(
        RECIPE.format(tests=str(Path(tones.__file__).parent), parts=PARTS[kind]), encoding="utf-8"
    )
    words = ["train", str(recipe), "--data", str(corpus), "--out", str(tmp_path / "out")]
    words += ["--accelerator", "cpu", "--devices", "2", "--strategy", "fsdp", "--precision", precision]
    words += ["--set", f"train.optimizer.kind={optimizer}"]
    environment = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(launch.free_port())}
    status, told = launch.Run(words, 2, environment, tmp_path / "told").finish()
    assert status == 0, told
    assert checkpoint.load(tmp_path / "out" / "model.safetensors").card["epochs"] == 1
