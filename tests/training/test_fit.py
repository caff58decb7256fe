"""Whole runs on a language of tones."""

import csv
import gc
import json
import logging
import math
import os
import signal
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import tones
import torch
from lightning.pytorch.callbacks import Callback
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from asrattn import checkpoint
from asrattn.augment import AugmentConfig
from asrattn.config import from_plain
from asrattn.data import manifest
from asrattn.data.fingerprint import fingerprint_dataset
from asrattn.encoders.output import EncoderOutput
from asrattn.errors import CheckpointError, ConfigError, DataError, StoppedError
from asrattn.model import LossConfig
from asrattn.model.losses import Losses
from asrattn.model.speech_model import SpeechModel
from asrattn.training import callbacks, checkpointing, data_scaling, metrics_log
from asrattn.training.fit import fit
from asrattn.training.module import SpeechLightningModule
from asrattn.training.recipe import Recipe
from asrattn.training.validation import Validation


def rows(out: Path) -> list[dict[str, str]]:
    """The table of a run without what clocks say."""
    with (out / "metrics.csv").open(encoding="utf-8") as table:
        return [{k: v for k, v in row.items() if "seconds" not in k} for row in csv.DictReader(table)]


def stop_in(epoch: int, monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """Let something happen in the second batch of an epoch."""
    before = SpeechLightningModule.training_step

    def step(self: SpeechLightningModule, batch: Any, index: int) -> Any:
        if self.trainer.current_epoch == epoch and index == 1:
            act()
        return before(self, batch, index)

    monkeypatch.setattr(SpeechLightningModule, "training_step", step)


def test_a_run_learns_and_leaves_a_model_that_says_how_it_was_made(corpus: Path, tmp_path: Path) -> None:
    recipe = tones.recipe(epochs=3, validate_every=2)
    path = fit(recipe, corpus, tmp_path / "run", seed=4)
    saved = checkpoint.load(path)
    assert saved.decoding == recipe.decoding
    assert saved.card["seed"] == 4
    assert saved.card["epochs"] == 3
    assert {
        "dev_wer",
        "dev_wer_interval",
        "dev_cer",
        "cpu_seconds",
        "hardware",
        "versions",
        "commit",
        "energy",
    } <= saved.card.keys()
    assert from_plain(Recipe, saved.card["recipe"]) == recipe
    assert saved.card["data"] == {
        "train": fingerprint_dataset(manifest.read(corpus / "train.jsonl")),
        "dev": fingerprint_dataset(manifest.read(corpus / "dev.jsonl")),
    }
    assert json.loads((tmp_path / "run" / "recipe.json").read_text(encoding="utf-8"))["name"] == "tones"
    found = rows(tmp_path / "run")
    assert [r["dev_wer"] != "" for r in found] == [False, True, True]  # the last one in any case
    losses = [float(r["train_total"]) for r in found]
    assert losses[2] < losses[1] < losses[0]
    board = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    assert {"train_total", "dev_wer", "dev_focus"} <= set(board.Tags()["scalars"])
    drawn = board.Images("attention")
    assert [each.step for each in drawn] == [2, 3]
    assert (
        drawn[0].width % metrics_log.PIXELS_PER_WEIGHT == drawn[0].height % metrics_log.PIXELS_PER_WEIGHT == 0
    )


def test_the_same_seed_gives_the_same_losses_and_resuming_changes_none(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tones.recipe(epochs=4)
    recipe = replace(recipe, model=replace(recipe.model, encoder=replace(recipe.model.encoder, dropout=0.2)))
    fit(recipe, corpus, tmp_path / "whole")
    with monkeypatch.context() as patch:
        stop_in(2, patch, lambda: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(
            StoppedError,
            match=r"stopped by SIGINT in epoch 3; .*last\.ckpt is up to date: resume with --resume",
        ):
            fit(recipe, corpus, tmp_path / "parts")
    assert len(rows(tmp_path / "parts")) == 2
    fit(recipe, corpus, tmp_path / "parts", resume=True)
    assert rows(tmp_path / "parts") == rows(tmp_path / "whole")
    whole, parts = (checkpoint.load(tmp_path / run / "model.safetensors") for run in ("whole", "parts"))
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(weight, parts.model.state_dict()[name]), name


def test_a_finished_run_says_so_when_it_is_resumed(
    corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fit(tones.recipe(epochs=1), corpus, tmp_path)
    before = rows(tmp_path)
    with caplog.at_level(logging.INFO):
        fit(tones.recipe(epochs=1), corpus, tmp_path, resume=True)
    assert "the run has finished its 1 epochs; to train on: --set train.epochs=2" in caplog.text
    assert rows(tmp_path) == before


def test_a_run_stopped_in_its_first_epoch_can_be_resumed(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patch:
        stop_in(0, patch, lambda: os.kill(os.getpid(), signal.SIGTERM))
        with pytest.raises(StoppedError, match="stopped by SIGTERM in epoch 1"):
            fit(tones.recipe(), corpus, tmp_path / "parts")
    assert signal.getsignal(signal.SIGTERM) is before
    fit(tones.recipe(), corpus, tmp_path / "parts", resume=True)
    fit(tones.recipe(), corpus, tmp_path / "whole")
    assert rows(tmp_path / "parts") == rows(tmp_path / "whole")


def test_a_run_that_is_over_leaves_nothing_in_the_process(corpus: Path, tmp_path: Path) -> None:
    seen: list[weakref.ReferenceType[Any]] = []

    class Witness(Callback):
        def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
            seen.extend((weakref.ref(trainer), weakref.ref(pl_module)))

    before = [signal.getsignal(each) for each in signal.valid_signals()]
    fit(tones.recipe(epochs=1), corpus, tmp_path, callbacks=(Witness(),))
    assert [signal.getsignal(each) for each in signal.valid_signals()] == before
    gc.collect()
    assert [each() for each in seen] == [None, None]


def test_a_loss_that_is_no_number_names_its_utterances(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = SpeechModel.loss_of_encoded

    def loss(self: SpeechModel, *args: Any) -> Losses:
        losses = right(self, *args)
        return losses._replace(total=losses.total * float("nan"))

    monkeypatch.setattr(SpeechModel, "loss_of_encoded", loss)
    with pytest.raises(DataError, match=r"non-finite loss in epoch 1 \(utterances train-\d+"):
        fit(tones.recipe(), corpus, tmp_path / "run")


def sometimes_wrong(monkeypatch: pytest.MonkeyPatch, factor: float) -> None:
    """In one step of each epoch, all losses are multiplied."""
    right = SpeechModel.loss_of_encoded

    def loss(self: SpeechModel, encoded: EncoderOutput, *args: Any) -> Losses:
        losses = right(self, encoded, *args)
        wrong = self.training and len(encoded.lens) == 3
        return Losses(*(x * factor for x in losses)) if wrong else losses

    monkeypatch.setattr(SpeechModel, "loss_of_encoded", loss)


def test_steps_that_are_no_number_are_skipped_steps_within_the_limit(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    recipe = tones.recipe(epochs=1)
    fit(recipe, corpus, tmp_path / "right")
    sometimes_wrong(monkeypatch, float("nan"))
    fit(tones.recipe(epochs=1, max_nonfinite_steps=3), corpus, tmp_path / "skipped")
    skipped_steps = [r.message for r in caplog.records if "step skipped (" in r.message]
    assert skipped_steps
    assert all(m.startswith("non-finite loss in epoch 1 (utterances train-") for m in skipped_steps)
    (right,), (skipped,) = rows(tmp_path / "right"), rows(tmp_path / "skipped")
    assert int(skipped["step"]) == int(right["step"]) - len(skipped_steps)
    assert math.isfinite(float(skipped["train_total"]))
    assert all(
        p.isfinite().all()
        for p in checkpoint.load(tmp_path / "skipped" / "model.safetensors").model.parameters()
    )
    with pytest.raises(DataError, match=r"raise train\.max_nonfinite_steps"):
        fit(tones.recipe(epochs=1, max_nonfinite_steps=len(skipped_steps) - 1), corpus, tmp_path / "over")


def out_of_memory(monkeypatch: pytest.MonkeyPatch, most: int) -> list[int]:
    """Memory suffices for so many encoder frames, padding included; the sizes that were tried in training."""
    right, tried = SpeechModel.loss_of_encoded, []

    def loss(self: SpeechModel, encoded: EncoderOutput, *args: Any) -> Losses:
        size = encoded.output.shape[0] * encoded.output.shape[1]
        if self.training:
            tried.append(size)
        if self.training and size > most:
            raise torch.OutOfMemoryError("no more")
        return right(self, encoded, *args)

    monkeypatch.setattr(SpeechModel, "loss_of_encoded", loss)
    return tried


def test_a_step_that_memory_does_not_hold_is_done_in_halves_with_the_same_losses(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    still = AugmentConfig(noise=0, stretch=0, vtlp=0, equalizer=0, frequency_masks=0, time_masks=0)
    recipe = replace(tones.recipe(epochs=2), augment=still)
    fit(recipe, corpus, tmp_path / "whole")
    with monkeypatch.context() as patch:
        out_of_memory(patch, 52)
        fit(recipe, corpus, tmp_path / "halves")
        assert "out of memory with" in caplog.text
    with monkeypatch.context() as patch:
        tried = out_of_memory(patch, 52)
        patch.setattr(SpeechLightningModule, "on_fit_start", SpeechLightningModule.find_max_device_seconds)
        caplog.clear()
        fit(recipe, corpus, tmp_path / "found")
        assert "s of audio on a device at once" in caplog.text
        first = next(i for i, size in enumerate(tried) if size <= 52)
        assert first > 0
        assert max(tried[first:]) <= 52  # found before the first step, not in it
    passes = replace(recipe, data=replace(recipe.data, max_device_seconds=1.5))
    fit(passes, corpus, tmp_path / "passes")
    for name in ("halves", "found", "passes"):
        for ours, theirs in zip(rows(tmp_path / "whole"), rows(tmp_path / name), strict=True):
            assert ours["step"] == theirs["step"]
            assert float(ours["train_total"]) == pytest.approx(float(theirs["train_total"]), rel=1e-4)
            assert float(ours["dev_loss"]) == pytest.approx(float(theirs["dev_loss"]), rel=1e-4)


def test_an_utterance_that_memory_does_not_hold_is_told(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out_of_memory(monkeypatch, 0)
    with pytest.raises(
        DataError, match=r"out of memory with .* s of audio on the device; lower data\.max_device_seconds"
    ):
        fit(tones.recipe(), corpus, tmp_path / "step")
    monkeypatch.setattr(SpeechLightningModule, "on_fit_start", SpeechLightningModule.find_max_device_seconds)
    with pytest.raises(DataError, match=r"out of memory with one utterance of .* lower data\.max_seconds"):
        fit(tones.recipe(), corpus, tmp_path / "start")


def test_a_folder_with_a_run_is_left_alone(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "last.ckpt").write_bytes(b"precious")
    with pytest.raises(ConfigError, match=r"holds a run already \(last\.ckpt\); add --resume"):
        fit(tones.recipe(), corpus, tmp_path)
    assert (tmp_path / "last.ckpt").read_bytes() == b"precious"
    with pytest.raises(CheckpointError, match=r"last\.ckpt: is truncated, damaged or not a checkpoint"):
        fit(tones.recipe(), corpus, tmp_path, resume=True)


def test_resuming_needs_a_run_of_the_same_model(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"last\.ckpt: does not exist; there is nothing to resume"):
        fit(tones.recipe(), corpus, tmp_path, resume=True)
    fit(tones.recipe(epochs=1), corpus, tmp_path)
    other = tones.recipe()
    other = replace(other, model=replace(other.model, encoder=replace(other.model.encoder, dim=8)))
    with pytest.raises(ConfigError, match="belongs to another model than that of the recipe 'tones'"):
        fit(other, corpus, tmp_path, resume=True)


def test_workers_read_what_memory_does_not_hold(corpus: Path, tmp_path: Path) -> None:
    recipe = tones.recipe(epochs=1)
    fit(recipe, corpus, tmp_path / "held")
    fit(replace(recipe, data=replace(recipe.data, cache=0.0, workers=1)), corpus, tmp_path / "read")
    assert rows(tmp_path / "held") == rows(tmp_path / "read")


@pytest.mark.parametrize(
    ("precision", "encoder"),
    [("bf16", {}), ("bf16", {"subsampling": "pyramid", "layers": 3}), ("fp32", {})],
)
def test_consistency_accumulation_and_precision_work_together(
    corpus: Path, tmp_path: Path, precision: str, encoder: dict[str, Any]
) -> None:
    recipe = replace(tones.recipe(epochs=1, ema=0.0), loss=LossConfig(ctc=0.5, consistency=0.2))
    model = replace(recipe.model, encoder=replace(recipe.model.encoder, **encoder))
    recipe = replace(recipe, model=model)
    fit(recipe, corpus, tmp_path, precision=precision)  # type: ignore[arg-type]
    (row,) = rows(tmp_path)
    assert float(row["train_consistency"]) > 0
    assert float(row["dev_loss"]) > 0


def test_no_better_wer_stops_early_but_not_on_the_plateau(corpus: Path, tmp_path: Path) -> None:
    slow = {"epochs": 5, "learning_rate": 1e-9, "ema": 0.0, "patience": 2}
    stubborn = tones.recipe(**slow, patience_start=10_000)
    fit(stubborn, corpus, tmp_path / "plateau")
    assert len(rows(tmp_path / "plateau")) == 5


def test_the_best_is_the_lowest_wer_and_the_later_of_equals(tmp_path: Path) -> None:
    keeper = callbacks.BestCheckpoint(tmp_path, lambda *_: {})
    recipe = tones.recipe(patience_start=10)

    class Now:
        global_step = 5
        lightning_module = SpeechLightningModule.__new__(SpeechLightningModule)

    torch.nn.Module.__init__(Now.lightning_module)
    Now.lightning_module.recipe = recipe

    class Found:
        def __init__(self, wer: float) -> None:
            self.wer = wer

    assert keeper._is_best(Found(0.5), Now)  # type: ignore[arg-type]
    assert keeper._is_best(Found(0.5), Now)  # type: ignore[arg-type]
    assert not keeper._is_best(Found(0.6), Now)  # type: ignore[arg-type]
    assert keeper.progress.worse == 0  # still on the plateau
    Now.global_step = 11
    assert not keeper._is_best(Found(0.6), Now)  # type: ignore[arg-type]
    assert keeper.progress.worse == 1


def test_a_full_disk_leaves_the_earlier_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "last.ckpt"
    writer = checkpointing.AtomicCheckpointIO()
    writer.save_checkpoint({"epoch": 1}, target)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match=r"No space left on device\); the earlier one is intact"):
        writer.save_checkpoint({"epoch": 2}, target)
    assert checkpointing.load(target) == {"epoch": 1}
    assert list(tmp_path.iterdir()) == [target]


def test_impossible_hardware_is_told(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--precision fp16: needs a GPU"):
        fit(tones.recipe(), corpus, tmp_path, precision="fp16", accelerator="cpu")


def worse_than_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """The WER is that of the first validation, and twice as high in all others."""
    first: list[Validation] = []

    def wer(self: Validation) -> float:
        first[:] = first or [self]
        return 0.4 if self is first[0] else 0.8

    monkeypatch.setattr(Validation, "wer", property(wer))


@pytest.mark.parametrize("averaged", [1, 2])
def test_start_is_validated_and_kept_if_no_epoch_is_better(
    corpus: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    averaged: int,
) -> None:
    base = fit(tones.recipe(epochs=1), corpus, tmp_path / "base")
    worse_than_the_start(monkeypatch)
    recipe = tones.recipe(epochs=2, validate_start=True, average_checkpoints=averaged)
    with caplog.at_level("INFO"):
        kept = checkpoint.load(fit(recipe, corpus, tmp_path / "run", init=base))
    for name, weight in checkpoint.load(base).model.state_dict().items():
        assert torch.equal(weight, kept.model.state_dict()[name]), name
    assert kept.card["epochs"] == 0
    assert "start: dev WER 40.0 %" in caplog.text
    assert "no epoch was better than the start: dev WER 40.0 %" in caplog.text
    assert ("the average is worse than the start" in caplog.text) == (averaged > 1)
    assert 0 <= float(kept.card["wall_seconds"]) < 60  # type: ignore[arg-type]
    assert len(rows(tmp_path / "run")) == 2


def test_validated_start_changes_no_loss_and_is_resumed(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    recipe = tones.recipe(epochs=2)
    fit(recipe, corpus, tmp_path / "plain")
    recipe = replace(recipe, train=replace(recipe.train, validate_start=True))
    with monkeypatch.context() as patch:
        stop_in(0, patch, lambda: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(StoppedError):
            fit(recipe, corpus, tmp_path / "parts")
    assert (tmp_path / "parts" / "model.safetensors").is_file()
    with caplog.at_level("INFO"):
        fit(recipe, corpus, tmp_path / "parts", resume=True)
    assert "start: dev WER" not in caplog.text
    assert rows(tmp_path / "parts") == rows(tmp_path / "plain")


@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_short_run_leaves_the_best_epoch(corpus: Path, tmp_path: Path, epochs: int) -> None:
    """Also if validations are rarer than its epochs."""
    recipe = tones.recipe(epochs=epochs, validate_every=5, patience=1, patience_start=0)
    assert checkpoint.load(fit(recipe, corpus, tmp_path)).card["epochs"] == epochs


def test_patience_counts_from_the_start_in_a_short_run(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worse_than_the_start(monkeypatch)
    fit(tones.recipe(epochs=5, patience=2, patience_start=0, validate_start=True), corpus, tmp_path)
    assert len(rows(tmp_path)) == 2


def test_run_is_scaled_to_its_data(
    corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_scaling, "CURVE_EPOCHS", 3)
    monkeypatch.setattr(data_scaling, "MIN_UPDATES", 9)
    with caplog.at_level("INFO"):
        path = fit(tones.recipe(epochs=50, scale_to_data=True), corpus, tmp_path)
    assert "24 recordings, 0.00 h: 3 epochs in batches of 8 recordings" in caplog.text
    found = rows(tmp_path)
    assert [row["step"] for row in found] == ["3", "6", "9"]
    written = from_plain(Recipe, checkpoint.load(path).card["recipe"])
    assert (written.train.epochs, written.data.batch_utterances) == (3, 8)
