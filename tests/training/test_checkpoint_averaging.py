"""The mean of several judged models: which, how many files, and exactly what it says it is."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import launch
import pytest
import tones
import torch
from hypothesis import given
from hypothesis import strategies as st

from asrattn import checkpoint
from asrattn.errors import StoppedError
from asrattn.training.checkpoint_averaging import CheckpointAverager, CheckpointScore, select_checkpoints
from asrattn.training.fit import fit
from asrattn.training.module import SpeechLightningModule

FEW = st.lists(st.floats(0, 2), min_size=1, max_size=12)


def files(out: Path) -> list[str]:
    return sorted(path.name for path in (out / "kept").iterdir())


def weights(path: Path) -> dict[str, torch.Tensor]:
    return checkpoint.load(path).model.state_dict()


@given(FEW, st.integers(1, 5))
def test_choosing_one_by_one_is_choosing_at_once(wers: list[float], count: int) -> None:
    found = [CheckpointScore(epoch, wer) for epoch, wer in enumerate(wers, 1)]
    for which in ("best", "last"):
        kept: list[CheckpointScore] = []
        for each in found:
            kept = select_checkpoints([*kept, each], count, which)  # type: ignore[arg-type]
        assert kept == select_checkpoints(found, count, which)  # type: ignore[arg-type]
        assert len(kept) == min(count, len(found))
    assert select_checkpoints(found, count, "last") == found[-count:]
    best = select_checkpoints(found, count, "best")
    assert all(each.wer >= max(k.wer for k in best) for each in found if each not in best)


def test_among_equals_the_later_are_chosen() -> None:
    assert select_checkpoints(
        [CheckpointScore(1, 0.5), CheckpointScore(2, 0.5), CheckpointScore(3, 0.5)], 2, "best"
    ) == [CheckpointScore(2, 0.5), CheckpointScore(3, 0.5)]


@pytest.mark.parametrize("of", ["best", "last"])
def test_a_run_leaves_the_mean_of_its_models_and_judges_it(of: str, corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    path = fit(tones.recipe(epochs=5, ema=0.0, average_checkpoints=2, average_of=of), corpus, out)
    saved = checkpoint.load(path)
    epochs = saved.card["averaged_epochs"]
    assert isinstance(epochs, list)
    assert files(out) == [f"epoch-{epoch:04}.safetensors" for epoch in epochs]
    assert len(epochs) == 2
    if of == "last":
        assert epochs == [4, 5]
    parts = [weights(out / "kept" / name) for name in files(out)]
    for name, weight in saved.model.state_dict().items():
        mean = sum(part[name].double() for part in parts) / 2
        torch.testing.assert_close(weight, mean.float(), rtol=0, atol=0)
        assert not name.endswith("weight") or not torch.equal(parts[0][name], parts[1][name])
    assert {"dev_wer", "dev_wer_interval", "seed", "commit"} <= saved.card.keys()
    assert saved.card["dev_utterances"] == 7


def test_the_mean_of_one_model_is_this_model(corpus: Path, tmp_path: Path) -> None:
    fit(tones.recipe(epochs=3, average_of="last"), corpus, tmp_path)
    saved = checkpoint.load(tmp_path / "model.safetensors")
    kept = checkpoint.load(tmp_path / "kept" / "epoch-0003.safetensors")
    assert all(torch.equal(w, kept.model.state_dict()[n]) for n, w in saved.model.state_dict().items())
    assert saved.card["dev_wer"] == kept.card["dev_wer"]


def test_stopping_and_resuming_leaves_the_same_mean_and_no_more_files(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tones.recipe(epochs=5, average_checkpoints=2, average_of="last")
    fit(recipe, corpus, tmp_path / "whole")
    before = SpeechLightningModule.training_step

    def step(self: SpeechLightningModule, batch: Any, index: int) -> Any:
        if self.trainer.current_epoch == 3 and index == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return before(self, batch, index)

    with monkeypatch.context() as patch:
        patch.setattr(SpeechLightningModule, "training_step", step)
        with pytest.raises(StoppedError):
            fit(recipe, corpus, tmp_path / "parts")
    assert "averaged_epochs" not in checkpoint.load(tmp_path / "parts" / "model.safetensors").card
    assert len(files(tmp_path / "parts")) <= 3
    fit(recipe, corpus, tmp_path / "parts", resume=True)
    assert files(tmp_path / "parts") == files(tmp_path / "whole")
    whole, parts = (weights(tmp_path / run / "model.safetensors") for run in ("whole", "parts"))
    assert all(torch.equal(weight, parts[name]) for name, weight in whole.items())
    (tmp_path / "parts" / "model.safetensors").unlink()  # as if killed between the last epoch and the mean
    fit(recipe, corpus, tmp_path / "parts", resume=True)
    assert checkpoint.load(tmp_path / "parts" / "model.safetensors").card["averaged_epochs"] == [4, 5]


def test_what_is_kept_goes_through_a_checkpoint(tmp_path: Path) -> None:
    one = CheckpointAverager(tmp_path, None, lambda *_: {})  # type: ignore[arg-type]
    one.selected = [CheckpointScore(3, 0.1 + 0.2), CheckpointScore(7, 1 / 3)]
    other = CheckpointAverager(tmp_path, None, lambda *_: {})  # type: ignore[arg-type]
    other.load_state_dict(json.loads(json.dumps(one.state_dict())))
    assert other.selected == one.selected


@pytest.mark.multi
def test_two_processes_judge_one_mean(corpus: Path, tmp_path: Path) -> None:
    settings = ("epochs=2", "average_checkpoints=2", 'freeze=["encoder"]')
    words = [word for setting in settings for word in ("--set", f"train.{setting}")]
    status, told = launch.run(tmp_path, corpus, "run", *words, devices=2)
    assert status == 0, told
    card = checkpoint.load(tmp_path / "run" / "model.safetensors").card
    assert card["averaged_epochs"] == [1, 2]
    assert card["dev_utterances"] == 7
