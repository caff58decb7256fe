"""Fine-tuning: which weights are copied, mapped or kept, and what is reported."""

import logging
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import tones
import torch
from lightning.pytorch.callbacks import Callback

from asrattn import checkpoint
from asrattn.attention import LocationAwareAttentionConfig
from asrattn.checkpoint import Checkpoint
from asrattn.cli.main import main
from asrattn.data import manifest
from asrattn.decoders import TransformerDecoderConfig
from asrattn.decoding import DecodingConfig
from asrattn.encoders import ConformerConfig
from asrattn.errors import CheckpointError, ConfigError, StoppedError
from asrattn.model import ModelConfig
from asrattn.model.speech_model import SpeechModel
from asrattn.text import CharTokenizer
from asrattn.training import finetune
from asrattn.training.fit import fit
from asrattn.training.module import SpeechLightningModule
from asrattn.training.optimizers import AdamWConfig, MuonConfig, SGDConfig
from asrattn.training.recipe import LoRAConfig, Recipe, TrainConfig

MODEL = tones.recipe().model
TRANSFORMER = replace(MODEL, decoder=TransformerDecoderConfig(dim=16, layers=1, heads=2, ffn_dim=32))


def make(config: ModelConfig, characters: str, seed: int) -> SpeechModel:
    torch.manual_seed(seed)
    model = SpeechModel(replace(config, vocabulary=3 + len(characters)))
    model.frontend.mean.normal_()
    return model


def saved(config: ModelConfig, characters: str) -> Checkpoint:
    return Checkpoint(make(config, characters, 0), CharTokenizer(characters), {}, DecodingConfig())


def write(folder: Path, old: Checkpoint) -> Path:
    path = folder / "old.safetensors"
    checkpoint.save(path, old.model, old.tokenizer, old.card, old.decoding)
    return path


@pytest.mark.parametrize("config", [MODEL, TRANSFORMER], ids=["lstm", "transformer"])
def test_each_token_keeps_its_rows_and_the_rest_is_taken(
    config: ModelConfig, caplog: pytest.LogCaptureFixture
) -> None:
    """Row by row: what both vocabularies have is the old model's, what is new is the new one's own."""
    before, after = " abcd", "xdb a"
    old, model = saved(config, before), make(config, after, 1)
    fresh = {name: w.clone() for name, w in model.state_dict().items()}
    with caplog.at_level(logging.INFO):
        finetune.copy_weights(model, CharTokenizer(after), old, Path("old.safetensors"))
    rows = 0
    for name, weight in model.state_dict().items():
        theirs = old.model.state_dict()[name]
        if not (name.startswith("ctc") or name in ("decoder.embed.weight",) or "decoder.out" in name):
            assert torch.equal(weight, theirs), name
            continue
        if len(weight) != 8:  # the hidden layer before the LSTM decoder's logits
            assert torch.equal(weight, theirs), name
            continue
        for id_ in range(3):
            assert torch.equal(weight[id_], theirs[id_]), name
        for id_, token in enumerate(after, 3):
            source = theirs[before.index(token) + 3] if token in before else fresh[name][id_]
            assert torch.equal(weight[id_], source), (name, token)
        rows += 1
    assert rows == 5  # embedding; weight and bias of both outputs
    assert torch.equal(model.frontend.mean, old.model.frontend.mean)
    assert "old.safetensors: " in caplog.text
    assert "7 of 8 tokens mapped in 5 weights; new: 'x'; not used: 'c'" in caplog.text


def test_the_same_vocabulary_gives_the_same_model() -> None:
    old, model = saved(MODEL, "ab"), make(MODEL, "ab", 1)
    finetune.copy_weights(model, old.tokenizer, old, Path("old"))
    ours, theirs = model.state_dict(), old.model.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (replace(MODEL, encoder=replace(MODEL.encoder, dim=32)), "its model.encoder.dim is 16, the recipe's 32;"),
        (replace(MODEL, encoder=ConformerConfig()), "its model.encoder.kind is lstm, the recipe's conformer;"),
        (replace(MODEL, frontend=replace(MODEL.frontend, hop=0.02)), "model.frontend.hop is 0.01, the recipe's 0.02;"),
        (
            replace(MODEL, decoder=replace(MODEL.decoder, attention=LocationAwareAttentionConfig(kernel=7))),
            "--set model.decoder.attention.kernel=",
        ),
    ],
)  # fmt: skip
def test_another_architecture_is_told_by_its_first_setting(
    wanted: ModelConfig, message: str, tmp_path: Path
) -> None:
    path = write(tmp_path, saved(MODEL, "ab"))
    with pytest.raises(ConfigError) as told:
        finetune.load(path, Recipe("r", wanted))
    assert str(told.value).startswith(f"--init {path}: ")
    assert message in str(told.value)
    assert "\n" not in str(told.value)


def test_dropout_may_differ(tmp_path: Path) -> None:
    path = write(tmp_path, saved(MODEL, "ab"))
    wanted = replace(MODEL, encoder=replace(MODEL.encoder, dropout=0.5))
    assert finetune.load(path, Recipe("r", wanted)).tokenizer == CharTokenizer("ab")


def test_freezing_goes_by_whole_names() -> None:
    model = make(
        replace(MODEL, encoder=ConformerConfig(dim=8, layers=11, heads=2, ffn_dim=8, channels=2)), "ab", 0
    )
    finetune.freeze(model, ("encoder.layers.1", "ctc.bias"))
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    assert frozen == {
        name
        for name, _ in model.named_parameters()
        if name.startswith("encoder.layers.1.") or name == "ctc.bias"
    }
    assert len(frozen) > 2


@pytest.mark.parametrize(
    ("prefixes", "message"),
    [
        (
            ("encodr",),
            "train.freeze: no weight is named 'encodr' or below it; did you mean encoder?",
        ),
        (("decoder.embd",), "did you mean decoder.embed?"),
        (("qqq",), "; the model has encoder, decoder, ctc"),
        (("encoder.",), "no weight is named 'encoder.'"),
        (("encoder", "decoder", "ctc"), "train.freeze: leaves nothing to train; freeze fewer weights"),
    ],
)
def test_what_cannot_be_frozen_is_told(prefixes: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError) as told:
        finetune.freeze(make(MODEL, "ab", 0), prefixes)
    assert message in str(told.value)
    assert "\n" not in str(told.value)


def with_more(folder: Path, letter: str, pitch: float, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small corpus in whose texts there is one more letter."""
    monkeypatch.setitem(tones.PITCH, letter, pitch)
    draw = np.random.default_rng(1)
    for split, count in (("train", 10), ("dev", 4)):
        texts = [letter + "".join(draw.choice(list("abcd" + letter), 4)) for _ in range(count)]
        spoken = [tones.utterance(folder / "wav", f"{split}-{i}", text) for i, text in enumerate(texts)]
        manifest.write(folder / f"{split}.jsonl", spoken)
    return folder


RECIPE = """
import sys
sys.path.insert(0, {tests!r})
import tones
RECIPE = tones.recipe(epochs={epochs}, freeze={freeze!r})
"""


def test_a_model_is_trained_and_then_fine_tuned_on_one_more_letter(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    more = with_more(tmp_path / "more", "e", 2700, monkeypatch)

    def train(*words: str, status: int = 0, **recipe: Any) -> str:
        path = tmp_path / "recipe.py"
        filled = {"tests": str(Path(__file__).parents[1]), "epochs": 2, "freeze": ()} | recipe
        path.write_text(RECIPE.format(**filled), encoding="utf-8")
        assert main(["train", str(path), "--accelerator", "cpu", *words]) == status
        return capsys.readouterr().err

    base, out = tmp_path / "base", tmp_path / "tuned"
    train("--data", str(corpus), "--out", str(base))
    init = ["--init", str(base / "model.safetensors")]
    told = train("--data", str(more), "--out", str(out), *init, freeze=("encoder", "decoder.attention"))
    assert "8 of 9 tokens mapped in 5 weights; new: 'e'; not used: none" in told
    assert "M frozen)" in told
    first, second = (checkpoint.load(run / "model.safetensors") for run in (base, out))
    assert second.tokenizer == CharTokenizer(" abcde")
    old, new = first.model.state_dict(), second.model.state_dict()
    for name in old:
        still = name.startswith(("encoder.", "decoder.attention.", "frontend."))
        assert torch.equal(old[name], new[name][: len(old[name])]) is still, name
    again = [*init, "--resume", "--data", str(more), "--out", str(out)]  # as typed before, with --resume
    assert "tokens mapped" not in train(*again, epochs=3, freeze=("encoder", "decoder.attention"))
    resumed = checkpoint.load(out / "model.safetensors").model.state_dict()
    assert all(torch.equal(resumed[name], old[name]) for name in old if name.startswith("encoder."))
    told = train(*again, status=1, epochs=4, freeze=("encoder",))
    assert "train.freeze=encoder,decoder.attention, and now it is encoder; a resumed run keeps it" in told
    told = train(
        "--data", str(more), "--out", str(tmp_path / "x"), "--init", str(base / "last.ckpt"), status=1
    )
    assert "is a pickle; these are never loaded" in told
    told = train(
        "--data", str(more), "--out", str(tmp_path / "x"), *init, "--set", "model.encoder.dim=8", status=1
    )
    assert told.count("\n") == 1
    assert "its model.encoder.dim is 16, the recipe's 8; " in told


def test_going_on_from_the_same_data_begins_where_the_model_was(corpus: Path, tmp_path: Path) -> None:
    """Nothing is learnt at this rate: the tuned model is the first one, its normaliser included."""
    first = checkpoint.load(fit(tones.recipe(epochs=2, ema=0.0), corpus, tmp_path / "base"))
    still = tones.recipe(learning_rate=1e-12, epochs=1, ema=0.0)
    path = fit(still, corpus, tmp_path / "tuned", init=tmp_path / "base" / "model.safetensors")
    for name, weight in checkpoint.load(path).model.state_dict().items():
        torch.testing.assert_close(weight, first.model.state_dict()[name], rtol=0, atol=1e-8)


def test_a_missing_model_is_told(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"nowhere\.safetensors: does not exist"):
        fit(tones.recipe(), corpus, tmp_path / "run", init=tmp_path / "nowhere.safetensors")


def test_another_optimizer_cannot_resume(corpus: Path, tmp_path: Path) -> None:
    fit(tones.recipe(epochs=1), corpus, tmp_path)
    recipe = tones.recipe(epochs=2)
    other = replace(recipe.train, optimizer=replace(recipe.train.optimizer, weight_decay=0.5))
    with pytest.raises(ConfigError, match=r"train\.optimizer\.weight_decay=0\.02, and now it is 0\.5; "):
        fit(replace(recipe, train=other), corpus, tmp_path, resume=True)


def test_new_tokens_with_frozen_rows_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    model = make(MODEL, "abc", 0)
    finetune.warn_of_untrained_tokens(model, CharTokenizer("abc"), CharTokenizer("ab"))
    model.decoder.requires_grad_(False)
    finetune.warn_of_untrained_tokens(model, CharTokenizer("ab"), CharTokenizer("abc"))
    assert not caplog.messages
    finetune.warn_of_untrained_tokens(model, CharTokenizer("abc"), CharTokenizer("ab"))
    (told,) = caplog.messages
    assert "the new tokens 'c' keep random weights in decoder.embed.weight, " in told
    assert "ctc" not in told


class FirstUpdates(Callback):
    """The weights of a group, of the model and of the average, and the moments, after each update."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.moved: list[bool] = []

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.first = {n: p.clone() for n, p in pl_module.named_parameters() if self.prefix in n}
        assert len(self.first) > 8

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        now = dict(pl_module.named_parameters())
        moved = {not torch.equal(p, now[name]) for name, p in self.first.items()}
        assert len(moved) == 1
        self.moved += moved
        state = trainer.optimizers[0].state
        held = {
            bool(state.get(p)) for name, p in now.items() if self.prefix in name and "average" not in name
        }
        assert held == moved


@pytest.mark.parametrize("optimizer", [AdamWConfig(), SGDConfig(), MuonConfig()], ids=lambda o: o.kind)
def test_weights_frozen_for_some_updates_stay_until_then(
    corpus: Path, tmp_path: Path, optimizer: Any
) -> None:
    frozen = tones.recipe(epochs=1, optimizer=optimizer, freeze=("encoder",), freeze_updates=3, ema=0.9)
    seen = FirstUpdates("encoder.")
    fit(frozen, corpus, tmp_path, callbacks=(seen,))
    assert seen.moved[:3] == [False] * 3
    assert set(seen.moved[3:]) == {True}


def test_gradients_of_frozen_weights_do_not_count_in_the_norm(corpus: Path, tmp_path: Path) -> None:
    """A run that is frozen throughout clips in the same way, and takes the same steps."""
    for name, updates in (("first", 1000), ("always", 0)):
        frozen = tones.recipe(epochs=1, clip=0.1, freeze=("encoder",), freeze_updates=updates)
        fit(frozen, corpus, tmp_path / name)
    first, always = (checkpoint.load(tmp_path / n / "model.safetensors") for n in ("first", "always"))
    for name, weight in always.model.state_dict().items():
        assert torch.equal(weight, first.model.state_dict()[name]), name


@pytest.mark.slow
@pytest.mark.parametrize(
    ("epoch", "optimizer"),
    [(0, AdamWConfig()), (0, SGDConfig()), (2, AdamWConfig()), (2, MuonConfig())],
    ids=["frozen-adamw", "frozen-sgd", "trained-adamw", "trained-muon"],
)
def test_timed_freezing_is_resumed_exactly(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epoch: int, optimizer: Any
) -> None:
    settings: dict[str, Any] = {
        "optimizer": optimizer,
        "freeze": ("encoder",),
        "freeze_updates": 9,
        "layer_decay": 0.8,
    }
    recipe = tones.recipe(epochs=3, **settings)
    fit(recipe, corpus, tmp_path / "whole")
    before = SpeechLightningModule.training_step

    def step(self: SpeechLightningModule, batch: Any, index: int) -> Any:
        if self.trainer.current_epoch == epoch and index == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return before(self, batch, index)

    with monkeypatch.context() as patch:
        patch.setattr(SpeechLightningModule, "training_step", step)
        with pytest.raises(StoppedError):
            fit(recipe, corpus, tmp_path / "parts")
    for other, message in (
        ({"freeze_updates": 8}, r"train\.freeze_updates=9, and now it is 8"),
        ({"layer_decay": 0.9}, r"train\.layer_decay=0\.8, and now it is 0\.9"),
        ({"lora": LoRAConfig()}, r"train\.lora=none, and now it is "),
    ):
        with pytest.raises(ConfigError, match=message):
            fit(tones.recipe(epochs=3, **settings | other), corpus, tmp_path / "parts", resume=True)
    fit(recipe, corpus, tmp_path / "parts", resume=True)
    whole, parts = (checkpoint.load(tmp_path / run / "model.safetensors") for run in ("whole", "parts"))
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(weight, parts.model.state_dict()[name]), name


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"freeze_updates": 3}, "train.freeze_updates: nothing is frozen; name the weights in train.freeze"),
        ({"freeze": ("ctc",), "freeze_updates": -1}, "train.freeze_updates must not be negative"),
        ({"layer_decay": 0.0}, "train.layer_decay must lie in"),
        ({"layer_decay": 1.1}, "train.layer_decay must lie in"),
    ],
)
def test_ranges_are_checked(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TrainConfig(**settings)
