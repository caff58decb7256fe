"""Training on one GPU: precisions, optimizers, memory, and a run that is resumed."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import tones
import torch
from test_fit import rows, stop_in
from torch import nn

from asrattn import checkpoint
from asrattn.errors import StoppedError
from asrattn.training import optimizers
from asrattn.training.fit import fit
from asrattn.training.module import SpeechLightningModule
from asrattn.training.muon import orthogonalize
from asrattn.training.optimizers import AdamWConfig, MuonConfig, OptimizerConfig, SGDConfig

pytestmark = pytest.mark.gpu
CLOSE = 1e-3  # relatively: a GPU adds up the gradients of CTC and of embeddings in an order of its own


def on(device: str) -> str:
    return "gpu" if device == "cuda" else device


def test_muon_steps_as_on_the_cpu(accelerator: str) -> None:
    matrix = torch.randn(24, 16, generator=torch.Generator().manual_seed(0))
    there = orthogonalize(matrix.to(accelerator), 3).float().cpu()
    torch.testing.assert_close(there, orthogonalize(matrix, 3).float(), rtol=0.05, atol=0.05)  # bf16


@pytest.mark.parametrize("config", [AdamWConfig(), SGDConfig(), MuonConfig()], ids=lambda c: c.kind)
@pytest.mark.parametrize("fused", [True, False])
def test_optimizers_step_as_on_the_cpu(accelerator: str, config: OptimizerConfig, fused: bool) -> None:
    def stepped(device: str) -> list[torch.Tensor]:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(8, 16), nn.Linear(16, 8)).to(device)
        optimizer = optimizers.build(config, model, fused)
        for _ in range(3):
            torch.autograd.backward(model(torch.ones(2, 8, device=device)).square().sum())
            optimizer.step()
            optimizer.zero_grad()
        return [p.detach().cpu() for p in model.parameters()]

    torch.testing.assert_close(stepped(accelerator), stepped("cpu"), rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_a_run_learns_in_every_precision(
    corpus: Path, tmp_path: Path, accelerator: str, precision: str, kind: str
) -> None:
    if accelerator == "cpu" and precision == "fp16":
        pytest.skip("a run in fp16 needs a GPU")
    optimizer = MuonConfig() if kind == "muon" else AdamWConfig(learning_rate=5e-3)
    recipe = tones.recipe(epochs=3, optimizer=optimizer)
    model = fit(recipe, corpus, tmp_path, precision=precision, accelerator=on(accelerator))  # type: ignore[arg-type]
    losses = [float(row["train_total"]) for row in rows(tmp_path)]
    assert losses[-1] < losses[0] < 100
    assert checkpoint.load(model).card["parameters"]


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("norm", ["layer", "batch"])
def test_a_run_stopped_within_an_epoch_is_resumed(
    corpus: Path, tmp_path: Path, accelerator: str, precision: str, norm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if accelerator == "cpu" and precision == "fp16":
        pytest.skip("a run in fp16 needs a GPU")
    recipe = tones.recipe(epochs=2, precision=precision)
    encoder = replace(recipe.model.encoder, dropout=0.2, norm=norm)  # type: ignore[call-arg]
    recipe = replace(recipe, model=replace(recipe.model, encoder=encoder))
    fit(recipe, corpus, tmp_path / "whole", accelerator=on(accelerator))
    with monkeypatch.context() as patch:
        stop_in(1, patch, lambda: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(StoppedError):
            fit(recipe, corpus, tmp_path / "parts", accelerator=on(accelerator))
    fit(recipe, corpus, tmp_path / "parts", accelerator=on(accelerator), resume=True)
    for ours, theirs in zip(rows(tmp_path / "parts"), rows(tmp_path / "whole"), strict=True):
        assert ours["step"] == theirs["step"]
        for name in ("train_total", "train_ctc", "dev_loss"):
            assert float(ours[name]) == pytest.approx(float(theirs[name]), rel=CLOSE), name


def test_memory_bounds_a_pass_before_the_first_step(
    corpus: Path, tmp_path: Path, accelerator: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if accelerator == "cpu":
        pytest.skip("there is no such bound")
    found: list[float] = []
    before = SpeechLightningModule.find_max_device_seconds

    def note(self: SpeechLightningModule) -> None:
        before(self)
        found.append(self.trainer.datamodule.max_device_seconds)  # type: ignore[attr-defined]

    monkeypatch.setattr(SpeechLightningModule, "find_max_device_seconds", note)
    fit(tones.recipe(epochs=1), corpus, tmp_path, accelerator="gpu")
    assert found == [tones.recipe().data.batch_seconds]
