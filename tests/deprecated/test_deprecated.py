"""What was written or typed under the names of asrattn 0.1 goes on under today's: recipes, settings, commands, runs.

The recipe and the run beside this file were made by commit b265177 on the language of tones (`tones.write_corpus`).
"""

import dataclasses
import json
import logging
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import Callback

from asrattn import attention, augment, checkpoint, decoders, decoding, deprecated, features, layers, model
from asrattn.attention import ForwardAttentionConfig
from asrattn.augment import AugmentConfig
from asrattn.cli.main import COMMANDS, main
from asrattn.config import from_plain, override, to_plain, upgrade
from asrattn.decoders import RecurrentDecoderConfig
from asrattn.decoding import DecodingConfig
from asrattn.encoders import ConformerConfig
from asrattn.encoders import config as encoders_config
from asrattn.errors import ConfigError
from asrattn.features import FeatureConfig
from asrattn.lm import config as lm_config
from asrattn.model import LossConfig, ModelConfig
from asrattn.training import checkpointing, recipe, schedule
from asrattn.training.callbacks import BestCheckpoint
from asrattn.training.checkpoint_averaging import CheckpointAverager
from asrattn.training.fit import fit
from asrattn.training.optimizers import AdamWConfig
from asrattn.training.recipe import DataConfig, Recipe, TrainConfig
from asrattn.training.schedule import WSDConfig

HERE = Path(__file__).parent
OLD_RECIPE = HERE / "recipe_0_1.py"
RECIPE = Recipe(
    name="tones",
    model=ModelConfig(
        frontend=FeatureConfig(rate=8000, mels=16),
        encoder=ConformerConfig(
            dim=8, layers=3, heads=2, ffn_dim=16, channels=2, downsampling=(1, 2, 1), kernel=3
        ),
        decoder=RecurrentDecoderConfig(
            dim=8, embedding=4, attention=ForwardAttentionConfig(dim=8, max_advance=2), dropout=0.1
        ),
    ),
    data=DataConfig(batch_seconds=4.0, max_device_seconds=3.0, concat_prob=0.5, sortagrad_epochs=1),
    augment=AugmentConfig(frequency_width=2, time_width=4, warmup=0.2),
    loss=LossConfig(ctc=0.4, decoder_input_noise=0.1),
    train=TrainConfig(
        epochs=4,
        optimizer=AdamWConfig(learning_rate=0.005),
        schedule=WSDConfig(warmup=0.2, decay=0.3),
        average_checkpoints=2,
        precision="fp32",
        max_nonfinite_steps=3,
    ),
    decoding=DecodingConfig(beam_size=3, ctc=0.4, length_norm=0.5, ctc_pre_beam=2),
)
LOSSES = [2.308265, 2.108019, 2.008554, 1.957256]  # train_total of the whole run, by the code of 0.1


@pytest.fixture
def old_run(tmp_path: Path) -> Path:
    """The folder of a run that was stopped in its third epoch."""
    with tarfile.open(HERE / "run_0_1.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "run"


def test_old_recipe_is_the_new_one_and_each_old_name_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    assert Recipe.load(OLD_RECIPE) == RECIPE
    lines = {int(m.removeprefix(f"{OLD_RECIPE}:").split(":")[0]) for m in caplog.messages}
    assert lines == {3, 7, 9, 12, 18, 22, 26, 27, 28, 33, 35, 37}
    assert (
        f"{OLD_RECIPE}:3: ForwardConfig is now called ForwardAttentionConfig; the old name works until asrattn 0.2"
        in (caplog.messages)
    )
    assert (
        f"{OLD_RECIPE}:18: ConformerConfig(rates=…) is now called downsampling; the old name works until asrattn 0.2"
        in (caplog.messages)
    )


HEAD = """
import dataclasses
import re
from dataclasses import replace
from asrattn.decoding import DecodingConfig
from recipes.an4.lstm import RECIPE as BASE
"""


@pytest.mark.parametrize(
    "body",
    [
        "RECIPE = replace(BASE, decoding=replace(BASE.search, beam=3))",
        "RECIPE = dataclasses.replace(BASE, search=dataclasses.replace(BASE.decoding, beam=3))",
        "from asrattn.search import SearchConfig as S\nRECIPE = replace(BASE, search=S(beam=3, ctc=0.3))",
        "import asrattn.search as s\nRECIPE = replace(BASE, decoding=replace(BASE.decoding, beam_size=3))",
    ],
)
def test_ways_to_write_an_old_name(body: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "r.py").write_text(HEAD + body, encoding="utf-8")
    assert Recipe.load(tmp_path / "r.py").decoding == DecodingConfig(beam_size=3, ctc=0.3)
    assert caplog.messages


@pytest.mark.parametrize(
    "body",
    [
        "assert re.search('a', 'a')\nRECIPE = BASE",
        "def replace(a, hidden=1, join=2): return a\nRECIPE = replace(BASE, hidden=3, join=1)",
        "class Text:\n    search = 1\nx = Text()\nassert x.search\nRECIPE = BASE",
    ],
)
def test_what_only_looks_like_an_old_name_stays(
    body: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    head = HEAD.replace("from dataclasses import replace\n", "")
    (tmp_path / "r.py").write_text(head + body, encoding="utf-8")
    assert Recipe.load(tmp_path / "r.py").name == "an4-lstm"
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "RECIPE = DecodingConfig(**{'beam': 3})",
            "r.py:7: DecodingConfig has no setting 'beam'; beam is now called beam_size",
        ),
        ("from asrattn import search", "r.py:7: .*'search'.*search is now called decoding"),
        ("RECIPE = BASE.decoding.beam", "r.py:7: .*'beam'; beam is now called beam_size"),
        ("1 / 0", "r.py:7: division by zero"),
        ("import sys; sys.exit(3)", "r.py: ends the program"),
    ],
)
def test_error_in_a_recipe_is_one_line_with_the_new_name(body: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "r.py").write_text(HEAD + body, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        Recipe.load(tmp_path / "r.py")


def test_present_recipes_report_nothing(caplog: pytest.LogCaptureFixture) -> None:
    root = HERE.parents[1] / "recipes"
    for path in [*root.glob("*/*.py")]:
        Recipe.load(path)
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("data.join=0.25", "data.concat_prob=0.25"),
        ("train.skip=7", "train.max_nonfinite_steps=7"),
        ("train.average=3", "train.average_checkpoints=3"),
        ("model.encoder.hidden=24", "model.encoder.ffn_dim=24"),
        ("model.encoder.rates=1,2", "model.encoder.downsampling=1,2"),
        ("model.decoder.attention.reach=3", "model.decoder.attention.max_advance=3"),
        ("augment.ramp=0.5", "augment.warmup=0.5"),
        ("augment.warp=0.05", "augment.vtlp=0.05"),
        ("loss.smoothing=0.2", "loss.label_smoothing=0.2"),
        ("search.beam=7", "decoding.beam_size=7"),
        ("search.normalize=1", "decoding.length_norm=1"),
    ],
)
def test_old_setting_sets_the_new_one(old: str, new: str, caplog: pytest.LogCaptureFixture) -> None:
    changed = override(RECIPE, [old])
    assert changed == override(RECIPE, [new]) != RECIPE
    assert any(f"is now called {new.partition('=')[0]}" in m for m in caplog.messages)


def test_old_kind_is_the_new_one(caplog: pytest.LogCaptureFixture) -> None:
    base = override(RECIPE, ["train.schedule.kind=cosine"])
    changed = override(base, ["train.schedule.kind=stable", "train.schedule.decay=0.4"])
    assert changed.train.schedule == WSDConfig(warmup=0.2, decay=0.4)
    assert caplog.messages == [
        "train.schedule.kind=stable is now called wsd; the old name works until asrattn 0.2"
    ]
    assert from_plain(Recipe, json.loads(json.dumps(to_plain(changed)))) == changed


def test_misspelt_setting_is_still_an_error() -> None:
    with pytest.raises(ConfigError, match="did you mean concat_prob"):
        override(RECIPE, ["data.concat=0.5"])


@pytest.mark.parametrize(
    ("typed", "current", "warnings"),
    [
        (["search", "r.py", "--seed", "1"], ["sweep", "r.py", "--seed", "1"], 1),
        (["tune", "m"], ["tune-decoding", "m"], 1),
        (["attend", "m", "a.wav"], ["plot-attention", "m", "a.wav"], 1),
        (
            ["ablate", "r.py", "--over=a=1,2", "--judge", "t"],
            ["ablate", "r.py", "--vary=a=1,2", "--eval-on", "t"],
            2,
        ),
        (["train", "r.py", "--sharing", "fsdp"], ["train", "r.py", "--strategy", "fsdp"], 1),
        (["transcribe", "m", "search", "--over"], ["transcribe", "m", "search", "--over"], 0),
        (["ablate", "r.py", "--", "--over=x"], ["ablate", "r.py", "--", "--over=x"], 0),
        (["--version"], ["--version"], 0),
    ],
)
def test_old_command_line_is_the_new_one(
    typed: list[str], current: list[str], warnings: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "asrattn")
    assert deprecated.current_arguments(typed) == current
    assert len(caplog.messages) == warnings


def test_old_command_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tune", "missing.safetensors", "missing.jsonl"]) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert first == "asrattn tune is now called asrattn tune-decoding; the old name works until asrattn 0.2"
    assert second.startswith("asrattn: missing.")


def test_every_entry_of_the_table_names_what_exists() -> None:
    modules = (
        attention,
        augment,
        decoding,
        encoders_config,
        decoders,
        features,
        layers,
        lm_config,
        model,
        recipe,
        schedule,
    )
    classes = {
        name: c for module in modules for name, c in vars(module).items() if dataclasses.is_dataclass(c)
    }
    for name, settings in deprecated.SETTINGS.items():
        fields = {field.name for field in dataclasses.fields(classes[name])}
        assert settings.keys() & fields == set()
        assert set(settings.values()) <= fields
    for names in deprecated.CLASSES.values():
        assert set(names.values()) <= classes.keys()
    assert {(old in COMMANDS, new in COMMANDS) for old, new in deprecated.COMMANDS.items()} == {(False, True)}


def test_model_file_of_an_old_run_loads(old_run: Path) -> None:
    saved = checkpoint.load(old_run / "model.safetensors")
    assert saved.model.config == replace(RECIPE.model, vocabulary=saved.tokenizer.size)
    assert saved.decoding == RECIPE.decoding
    assert from_plain(Recipe, saved.card["recipe"]) == RECIPE


class StateAtStart(Callback):
    """What a run begins with, as it stands in a checkpoint."""

    def __init__(self) -> None:
        self.weights: dict[str, torch.Tensor] = {}
        self.optimizer: dict[str, Any] = {}
        self.callbacks: dict[str, Any] = {}

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.weights = {name: w.detach().clone() for name, w in pl_module.state_dict().items()}
        self.optimizer = json.loads(
            json.dumps(trainer.optimizers[0].state_dict(), default=lambda x: x.tolist())
        )
        callbacks = trainer.callbacks  # type: ignore[attr-defined]
        self.callbacks = {
            type(c).__name__: c.state_dict()
            for c in callbacks
            if isinstance(c, BestCheckpoint | CheckpointAverager)
        }


def test_old_run_goes_on(old_run: Path, corpus: Path) -> None:
    """All state is taken over bit for bit; what comes after differs between processors in rounding alone."""
    held = checkpointing.load(old_run / "last.ckpt")
    start = StateAtStart()
    fit(Recipe.load(OLD_RECIPE), corpus, old_run, resume=True, accelerator="cpu", callbacks=(start,))
    assert start.weights.keys() == held["state_dict"].keys()
    for name, weight in held["state_dict"].items():
        assert torch.equal(weight, start.weights[name]), name
    optimizer = json.loads(json.dumps(held["optimizer_states"][0], default=lambda x: x.tolist()))
    assert start.optimizer["state"] == optimizer["state"]
    assert start.callbacks == {
        "BestCheckpoint": held["callbacks"]["Keeper"],
        "CheckpointAverager": held["callbacks"]["Averager"],
    }
    rows = (old_run / "metrics.csv").read_text(encoding="utf-8").splitlines()[1:]
    assert [float(row.split(",")[3]) for row in rows] == pytest.approx(LOSSES, rel=1e-3)


def test_old_plain_values_are_upgraded(old_run: Path) -> None:
    plain = json.loads((old_run / "recipe.json").read_text(encoding="utf-8"))
    assert plain["search"]["beam"] == 3
    assert upgrade(Recipe, plain) == to_plain(RECIPE)
