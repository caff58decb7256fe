"""Neural language models are trained: they learn, are resumed exactly, and refuse what does not go together."""

import csv
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from asrattn.config import from_plain, override, to_plain
from asrattn.errors import ConfigError, DataError, StoppedError
from asrattn.lm import LSTMLMConfig, TransformerLMConfig, neural
from asrattn.text import BLANK, EOS, CharTokenizer
from asrattn.training.data.sampler import epoch_batches
from asrattn.training.lm.datamodule import LMStepDataset, Sentences
from asrattn.training.lm.fit import fit
from asrattn.training.lm.module import LMLightningModule
from asrattn.training.lm.recipe import LMRecipe, LMTrainConfig
from asrattn.training.optimizers import AdamWConfig, MuonConfig
from asrattn.training.optimizers.factory import build as build_optimizer

TOKENIZER = CharTokenizer.train(["ab c"])
TEXTS = ["ab ab c", "c ab ab ab", "ab", "c c ab", "ab c c c", "ab ab", "c"] * 6
DEV = ["ab c", "c ab ab"]
TRAIN = LMTrainConfig(epochs=4, batch_tokens=64, optimizer=AdamWConfig(learning_rate=0.02))
RECIPE = LMRecipe("small", LSTMLMConfig(dim=8, layers=1, dropout=0.1), TRAIN)
FOLDER = Path(__file__).resolve().parents[3] / "recipes"


def trained(out: Path, recipe: LMRecipe = RECIPE, **kwargs: Any) -> Path:
    return fit(recipe, TEXTS, DEV, kwargs.pop("tokenizer", TOKENIZER), out, accelerator="cpu", **kwargs)


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "metrics.csv").open(encoding="utf-8") as table:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(table)]


def test_it_learns_and_the_best_is_kept(tmp_path: Path):
    recipe = override(RECIPE, ["train.epochs=8", "train.optimizer.learning_rate=0.05"])
    path = trained(tmp_path, recipe, seed=3)
    model, table = neural.load(path), rows(tmp_path)
    judged = [float(row["dev_perplexity"]) for row in table]
    assert len(judged) == 8
    assert min(judged) < 3 < judged[0]
    found = neural.perplexity(model.network, model.tokenizer, DEV)
    assert found.tokens.including_oov == pytest.approx(min(judged), rel=1e-5)
    assert model.card["dev_perplexity"] == pytest.approx(min(judged), abs=1e-4)
    assert model.card["epochs"] == judged.index(min(judged)) + 1
    assert from_plain(LMRecipe, model.card["recipe"]) == recipe


@pytest.mark.parametrize("model", [RECIPE.model, TransformerLMConfig(dim=8, layers=1, heads=2, ffn_dim=8)])
def test_stopped_and_resumed_is_the_same_as_in_one_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: neural.LMConfig
):
    recipe = replace(RECIPE, model=model)
    whole = neural.load(trained(tmp_path / "whole", recipe)).network.state_dict()
    with monkeypatch.context() as patch:
        step = LMLightningModule.training_step

        def stopping(self: LMLightningModule, batch: Any, index: int) -> Any:
            if (self.trainer.current_epoch, index) == (2, 1):
                signal.raise_signal(signal.SIGTERM)
            return step(self, batch, index)

        patch.setattr(LMLightningModule, "training_step", stopping)
        with pytest.raises(StoppedError, match="SIGTERM in epoch 3; --resume"):
            trained(tmp_path / "parts", recipe)
    parts = neural.load(trained(tmp_path / "parts", recipe, resume=True)).network.state_dict()
    assert rows(tmp_path / "parts") == rows(tmp_path / "whole")
    assert all(torch.equal(parts[name], weight) for name, weight in whole.items())


def test_what_does_not_go_together_is_told(tmp_path: Path):
    trained(tmp_path, override(RECIPE, ["train.epochs=1"]))
    with pytest.raises(ConfigError, match="holds a run already"):
        trained(tmp_path)
    with pytest.raises(ConfigError, match="another recipe"):
        trained(tmp_path, resume=True)
    with pytest.raises(ConfigError, match="another tokenizer"):
        trained(tmp_path, override(RECIPE, ["train.epochs=1"]), resume=True, tokenizer=CharTokenizer("abc d"))
    with pytest.raises(DataError, match="no text"):
        fit(RECIPE, ["", "  "], DEV, TOKENIZER, tmp_path / "none", accelerator="cpu")
    with pytest.raises(DataError, match="non-finite loss in epoch 1"):
        trained(tmp_path / "wild", override(RECIPE, ["train.optimizer.learning_rate=1e30", "train.clip=0"]))


def test_patience_ends_a_run_that_gets_no_better(tmp_path: Path):
    still = override(RECIPE, ["train.epochs=9", "train.patience=2", "train.optimizer.learning_rate=1e-12"])
    trained(tmp_path, still)
    assert len(rows(tmp_path)) < 9


def test_every_sentence_is_in_an_epoch_once():
    sentences = Sentences(["a", "", "b  c", "abz"], TOKENIZER)
    assert sentences.counts == [1, 3, 3]
    assert sentences.unknown == 1
    plan = epoch_batches(np.asarray(sentences.counts) + 1, 8, seed=0, epoch=1)
    found = []
    for read, foretold in (LMStepDataset(sentences, plan)[i] for i in range(len(plan))):
        assert read.numel() <= 8
        for before, after in zip(read.tolist(), foretold.tolist(), strict=True):
            tokens = after[: after.index(EOS)]
            assert before[: len(tokens) + 1] == [EOS, *tokens]
            assert set(after[len(tokens) + 1 :]) <= {BLANK}
            found.append(TOKENIZER.decode(tokens))
    assert sorted(found) == ["a", "ab⁇", "b c"]


def test_muon_leaves_the_embedding_to_adamw():
    network = neural.build(RECIPE.model, TOKENIZER.size)
    joined = build_optimizer(MuonConfig(), network, fused=False)
    matrices = {id(p) for p in joined.param_groups[0]["params"]}
    assert {name for name, p in network.named_parameters() if id(p) in matrices} == {
        "lstm.weight_ih_l0",
        "lstm.weight_hh_l0",
    }


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*/lm/*.py")), ids=lambda p: p.stem)
def test_shipped_recipes_are_values_that_can_be_stepped(path: Path):
    recipe = LMRecipe.load(path)
    assert recipe.name == f"{path.parents[1].name}-lm-{path.stem}"
    assert from_plain(LMRecipe, to_plain(recipe)) == recipe
    network = neural.build(recipe.model, 30)
    network(torch.tensor([[EOS, 5, 6]])).logsumexp(2).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_a_recipe_of_another_kind_is_told():
    with pytest.raises(ConfigError, match=r"RECIPE is a Recipe; write RECIPE = LMRecipe"):
        LMRecipe.load(FOLDER / "an4" / "lstm.py")
    for setting in ("epochs", "batch_tokens"):
        with pytest.raises(ConfigError, match=setting):
            override(RECIPE, [f"train.{setting}=0"])
