"""`asrattn train` as it is typed."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from asrattn import checkpoint
from asrattn.cli.main import main

RECIPE = """
from asrattn.decoders import RecurrentDecoderConfig
from asrattn.encoders import LSTMEncoderConfig
from asrattn.features import FeatureConfig
from asrattn.model import ModelConfig
from asrattn.training.recipe import Recipe, TrainConfig

RECIPE = Recipe(
    name="tiny",
    model=ModelConfig(
        frontend=FeatureConfig(rate=8000, mels=16),
        encoder=LSTMEncoderConfig(dim=8, layers=1, channels=4),
        decoder=RecurrentDecoderConfig(dim=8, embedding=4),
    ),
    train=TrainConfig(epochs=3, precision="fp32"),
)
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.py"
    path.write_text(RECIPE, encoding="utf-8")
    return path


def test_it_trains_and_prints_the_model_file(
    recipe: Path, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    words = ["train", str(recipe), "--data", str(corpus), "--out", str(out), "--accelerator", "cpu"]
    assert main([*words, "--set", "train.epochs=1", "--set", "augment.noise=0"]) == 0
    told = capsys.readouterr()
    assert told.out == f"{out / 'model.safetensors'}\n"
    assert "train: 24 utterances" in told.err
    assert "epoch 1/1" in told.err
    assert main([*words, "--set", "train.epochs=1"]) == 1
    assert "holds a run already" in capsys.readouterr().err
    assert main([*words, "--set", "train.epochs=2", "--resume"]) == 0
    with (out / "metrics.csv").open(encoding="utf-8") as table:
        assert [row["epoch"] for row in csv.DictReader(table)] == ["1", "2"]


def test_a_misspelt_setting_is_one_line_and_status_1(
    recipe: Path, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", str(recipe), "--data", str(corpus), "--out", str(tmp_path / "run")]
    assert main([*words, "--set", "train.epoch=1"]) == 1
    told = capsys.readouterr().err
    assert "epochs" in told
    assert told.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_folder_without_manifests_is_told(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", str(recipe), "--data", str(tmp_path), "--out", str(tmp_path / "run")]) == 1
    assert "train.jsonl: does not exist; make it with python -m data_prep" in capsys.readouterr().err


@pytest.mark.multi
def test_torchrun_starts_its_processes(recipe: Path, corpus: Path, tmp_path: Path) -> None:
    """As in docs/guides/cluster.md; one file to use at the end, and every dev utterance counted once."""
    out, bin_ = tmp_path / "run", Path(sys.executable).parent
    launch = [
        "--nnodes",
        "1",
        "--nproc-per-node",
        "2",
        "--rdzv-backend",
        "c10d",
        "--rdzv-endpoint",
        "localhost:0",
    ]
    train = ["train", recipe, "--data", corpus, "--out", out, "--set", "train.epochs=1"]
    where = ["--devices", "2", "--nodes", "1", "--accelerator", "cpu"]
    done = subprocess.run(
        [bin_ / "torchrun", *launch, "--no-python", bin_ / "asrattn", *train, *where],
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{out / 'model.safetensors'}\n"
    assert checkpoint.load(out / "model.safetensors").card["dev_utterances"] == 7


def test_settings_that_the_amount_of_data_chooses_are_refused(
    recipe: Path, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", str(recipe), "--data", str(corpus), "--out", str(tmp_path / "run")]
    scaled = [*words, "--set", "train.scale_to_data=true", "--set", "train.epochs=2"]
    assert main(scaled) == 1
    assert "--set train.epochs: train.scale_to_data chooses it" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
