"""Knowledge distillation from the model of --init: a Whisper with less padding learns what the whole one gives."""

import csv
from dataclasses import replace
from pathlib import Path

import lightning as L
import pytest
import tiny_whisper
import tones
import torch
from lightning.pytorch.callbacks import Callback

from asrattn import checkpoint
from asrattn.augment import AugmentConfig
from asrattn.config import override
from asrattn.decoding import DecodingConfig
from asrattn.errors import ConfigError, StoppedError
from asrattn.model import LossConfig, ModelConfig
from asrattn.training import distillation
from asrattn.training.fit import fit
from asrattn.training.module import SpeechLightningModule
from asrattn.training.optimizers import AdamWConfig
from asrattn.training.recipe import DataConfig, InitConfig, Recipe, TrainConfig

RECIPE = Recipe(
    "distil",
    model=ModelConfig(),
    init=InitConfig(settings=("model.encoder.silence_samples=1",)),
    data=DataConfig(batch_seconds=8.0, keep_encoded=0.1),
    augment=AugmentConfig.off(),
    loss=LossConfig(ctc=0.0, recognition=0.0, distill_encoder=1.0, distill_decoder=0.5),
    train=TrainConfig(
        epochs=4,
        optimizer=AdamWConfig(learning_rate=3e-3),
        precision="fp32",
        freeze=("decoder", "ctc"),
        ema=0.0,
        validate_beam=1,
    ),
    decoding=DecodingConfig(beam_size=1, ctc=0.0, max_length=0.2),
)


@pytest.fixture(scope="module")
def init(tmp_path_factory: pytest.TempPathFactory) -> Path:
    saved = tiny_whisper.native(tiny_whisper.source(audio_context=100))
    return tiny_whisper.model_file(tmp_path_factory.mktemp("init"), saved)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tones.write_corpus(tmp_path_factory.mktemp("few"), train=12, dev=3)


class Watch(Callback):
    """Keeps the teacher's weights at the begin and at the end, and what is saved; may stop the run after an epoch."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.stop_after = stop_after
        self.saved: set[str] = set()
        self.before: dict[str, torch.Tensor] = {}
        self.after: dict[str, torch.Tensor] = {}

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.before = self._teacher(pl_module)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.after = self._teacher(pl_module)
        self.saved = set(pl_module.state_dict())
        if trainer.current_epoch + 1 == self.stop_after:
            raise StoppedError("enough")

    @staticmethod
    def _teacher(module: L.LightningModule) -> dict[str, torch.Tensor]:
        assert isinstance(module, SpeechLightningModule)
        assert module.teacher
        return {name: w.clone() for name, w in module.teacher.model.state_dict().items()}


def losses(out: Path, name: str) -> list[float]:
    with (out / "metrics.csv").open(encoding="utf-8") as table:
        return [float(row[name]) for row in csv.DictReader(table)]


def test_student_comes_nearer_and_the_teacher_stays(init: Path, small: Path, tmp_path: Path) -> None:
    watch = Watch()
    model = checkpoint.load(fit(RECIPE, small, tmp_path, init=init, accelerator="cpu", callbacks=(watch,)))
    total = losses(tmp_path, "train_total")
    assert total[-1] < 0.9 * total[0]
    assert all(torch.equal(weight, watch.after[name]) for name, weight in watch.before.items())
    assert {name.split(".")[0] for name in watch.saved} == {"model", "average"}  # without the teacher
    theirs = checkpoint.load(init).model
    assert torch.equal(model.model.decoder.positions, theirs.decoder.positions)  # type: ignore[arg-type]


def test_a_stopped_run_goes_on_with_the_same_losses(init: Path, small: Path, tmp_path: Path) -> None:
    fit(RECIPE, small, tmp_path / "whole", init=init, accelerator="cpu")
    words = {"init": init, "accelerator": "cpu"}
    with pytest.raises(StoppedError):
        fit(RECIPE, small, tmp_path / "run", callbacks=(Watch(2),), **words)  # type: ignore[arg-type]
    fit(RECIPE, small, tmp_path / "run", resume=True, **words)  # type: ignore[arg-type]
    for name in ("train_total", "dev_loss"):
        assert losses(tmp_path / "run", name) == losses(tmp_path / "whole", name)


def test_a_teacher_is_needed() -> None:
    with pytest.raises(ConfigError, match="need a teacher: name its model with --init"):
        distillation.load_teacher(RECIPE, None)
    assert distillation.load_teacher(replace(RECIPE, loss=LossConfig()), None) is None


@pytest.mark.parametrize(
    "setting", ["augment.speed=0.1", "augment.stretch=0.1", "data.concat_prob=0.5", "loss.consistency=0.1"]
)
def test_what_changes_time_is_told(init: Path, setting: str) -> None:
    with pytest.raises(ConfigError, match="compare frame by frame: set augment"):
        distillation.load_teacher(override(RECIPE, [setting]), init)
