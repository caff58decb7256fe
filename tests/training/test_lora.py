"""LoRA and DoRA: what is adapted and trained, merging, runs and their resumption."""

import copy
import importlib.util
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tones
import torch

from asrattn import checkpoint
from asrattn.decoders import TransformerDecoderConfig
from asrattn.encoders import TransformerEncoderConfig
from asrattn.errors import ConfigError, StoppedError
from asrattn.layers.linear import Linear
from asrattn.model import ModelConfig
from asrattn.model.speech_model import SpeechModel
from asrattn.training import lora
from asrattn.training.fit import fit
from asrattn.training.module import SpeechLightningModule
from asrattn.training.optimizers import MuonConfig
from asrattn.training.optimizers.factory import build as build_optimizer
from asrattn.training.recipe import LoRAConfig, Recipe

if importlib.util.find_spec("peft") is None:
    pytest.skip("needs peft", allow_module_level=True)

MODEL = replace(
    tones.recipe().model,
    encoder=TransformerEncoderConfig(dim=16, layers=2, heads=2, ffn_dim=32, channels=4, dropout=0.1),
    decoder=TransformerDecoderConfig(dim=16, layers=1, heads=2, ffn_dim=32),
)


def make(config: ModelConfig = MODEL) -> SpeechModel:
    torch.manual_seed(0)
    return SpeechModel(replace(config, vocabulary=9)).eval()


def adapted(config: LoRAConfig) -> SpeechModel:
    """A model whose adapters have learnt something."""
    model = make()
    lora.add_adapters(model, config, seed=0)
    for name, p in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(p, std=0.2)
    return model


def encode(model: SpeechModel) -> torch.Tensor:
    wave = torch.randn(2, 8000, generator=torch.Generator().manual_seed(1))
    return model.encode(wave, torch.tensor([8000, 6000])).output


@pytest.mark.parametrize("kind", ["lora", "dora"])
def test_adapters_change_nothing_at_first_and_only_they_are_trained(kind: Any) -> None:
    model, before = make(), encode(make())
    lora.add_adapters(model, LoRAConfig(kind=kind, train=("ctc",)), seed=0)
    torch.testing.assert_close(encode(model), before)
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert {name for name in trained if "lora_" not in name} == {"ctc.weight", "ctc.bias"}
    layers = {name.split(".lora_")[0] for name in trained if "lora_" in name}
    assert layers == {
        *(f"encoder.layers.{n}.attention.{part}" for n in range(2) for part in ("qkv", "out")),
        *(f"decoder.layers.0.self_attention.{part}" for part in ("qkv", "out")),
        *(f"decoder.layers.0.attention.{part}" for part in ("query", "key_value", "out")),
    }


@pytest.mark.parametrize("kind", ["lora", "dora"])
def test_merged_model_is_an_ordinary_one_with_the_same_output(kind: Any) -> None:
    model = adapted(LoRAConfig(kind=kind))
    state = copy.deepcopy(model.state_dict())
    merged = lora.merge(model)
    assert merged.state_dict().keys() == make().state_dict().keys()
    assert type(merged.encoder.layers[0].attention.qkv) is Linear
    assert vars(merged).keys() == vars(make()).keys()
    assert not any(p.requires_grad for p in merged.parameters())
    torch.testing.assert_close(encode(merged), encode(model), rtol=1e-4, atol=1e-5)
    assert (encode(merged) - encode(make())).abs().max() > 0.1
    assert all(torch.equal(x, state[name]) for name, x in model.state_dict().items())


def test_targets_are_names_or_their_endings() -> None:
    model = make()
    assert lora.target_layers(model, ("ctc", "feed_forward.0")) == [
        *(f"encoder.layers.{n}.feed_forward.0" for n in range(2)),
        "decoder.layers.0.feed_forward.0",
        "ctc",
    ]
    lora.add_adapters(model, LoRAConfig(targets=("ctc",), train=("decoder.norm",)), seed=0)
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert {name.split(".lora_")[0] for name in trained} == {
        "ctc",
        "decoder.norm.weight",
        "decoder.norm.bias",
    }


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (LoRAConfig(targets=("qvk",)), "train.lora.targets: no linear layer is named 'qvk'"),
        (LoRAConfig(train=("ctd",)), "train.lora.train: no weight is named 'ctd' or below it; did you mean ctc?"),
    ],
)  # fmt: skip
def test_what_cannot_be_adapted_is_told(config: LoRAConfig, message: str) -> None:
    with pytest.raises(ConfigError) as told:
        lora.add_adapters(make(), config, seed=0)
    assert message in str(told.value)
    assert "\n" not in str(told.value)


def test_model_without_attention_projections_is_told() -> None:
    with pytest.raises(
        ConfigError, match=r"has no attention projections; name layers in train\.lora\.targets"
    ):
        lora.target_layers(torch.nn.Sequential(Linear(2, 2)), ())


def test_missing_peft_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda *_: None)
    with pytest.raises(ConfigError, match=r"train\.lora: needs peft; pip install asrattn\[hf\]"):
        lora.add_adapters(make(), LoRAConfig(), seed=0)


@pytest.mark.parametrize(
    "settings", [{"rank": 0}, {"alpha": 0.0}, {"dropout": 1.0}], ids=lambda settings: next(iter(settings))
)
def test_ranges_are_checked(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"lora.{next(iter(settings))}"):
        LoRAConfig(**settings)


def test_muon_takes_adapters() -> None:
    model = adapted(LoRAConfig())
    optimizer = build_optimizer(MuonConfig(), model, fused=True, layer_decay=0.9)
    found = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert found == {id(p) for p in model.parameters() if p.requires_grad}


def recipe(**train: Any) -> Recipe:
    return replace(tones.recipe(**train), model=MODEL)


@pytest.fixture
def base(corpus: Path, tmp_path: Path) -> Path:
    return fit(recipe(epochs=1), corpus, tmp_path / "base")


def test_lora_needs_a_trained_model(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"train\.lora: adapts a trained model; name it with --init"):
        fit(recipe(lora=LoRAConfig()), corpus, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("averaged", [1, 2])
def test_run_writes_a_merged_model(base: Path, corpus: Path, tmp_path: Path, averaged: int) -> None:
    """Adapted layers change, the CTC head is trained, all else is the model's before."""
    config = LoRAConfig(rank=2, dropout=0.1, train=("ctc",))
    settings = recipe(epochs=2, learning_rate=2e-2, lora=config, average_checkpoints=averaged)
    path = fit(settings, corpus, tmp_path / "tuned", init=base)
    old, new = (checkpoint.load(each).model.state_dict() for each in (base, path))
    assert old.keys() == new.keys()
    layers = lora.target_layers(make(), ())
    for name, weight in old.items():
        changed = name.startswith("ctc.") or name.removesuffix(".weight") in layers
        assert torch.equal(weight, new[name]) is not changed, name
    saved = checkpoint.load(path)
    assert saved.card["parameters"] == sum(p.numel() for p in saved.model.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["lora", "dora"])
def test_resumed_run_is_exact(
    base: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Any
) -> None:
    settings = recipe(epochs=3, lora=LoRAConfig(kind=kind, rank=2, dropout=0.2))
    fit(settings, corpus, tmp_path / "whole", init=base)
    before = SpeechLightningModule.training_step

    def step(self: SpeechLightningModule, batch: Any, index: int) -> Any:
        if self.trainer.current_epoch == 1 and index == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return before(self, batch, index)

    with monkeypatch.context() as patch:
        patch.setattr(SpeechLightningModule, "training_step", step)
        with pytest.raises(StoppedError):
            fit(settings, corpus, tmp_path / "parts", init=base)
    other = replace(settings, train=replace(settings.train, lora=LoRAConfig(kind=kind, rank=3)))
    with pytest.raises(ConfigError, match=r"was run with train\.lora\.rank=2, and now it is 3"):
        fit(other, corpus, tmp_path / "parts", init=base, resume=True)
    fit(settings, corpus, tmp_path / "parts", init=base, resume=True)
    whole, parts = (checkpoint.load(tmp_path / run / "model.safetensors") for run in ("whole", "parts"))
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(weight, parts.model.state_dict()[name]), name
