"""Pre-training learns more than the prior, resumes exactly, ignores texts, and refuses what does not go together."""

import csv
import json
import logging
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import tones
import torch

from asrattn import audio, checkpoint
from asrattn.cli.main import main
from asrattn.config import from_plain, override, to_plain
from asrattn.data import manifest
from asrattn.data.manifest import Utterance
from asrattn.encoders import LSTMEncoderConfig
from asrattn.errors import CheckpointError, ConfigError, DataError, StoppedError
from asrattn.model.speech_model import SpeechModel
from asrattn.training import checkpointing
from asrattn.training.fit import fit as speech_fit
from asrattn.training.optimizers import MuonConfig
from asrattn.training.optimizers.factory import build as build_optimizer
from asrattn.training.pretrain import BestRQConfig
from asrattn.training.pretrain.fit import TOKENIZER, fit
from asrattn.training.pretrain.module import PretrainLightningModule
from asrattn.training.pretrain.network import BestRQ
from asrattn.training.pretrain.recipe import PretrainRecipe, from_recipe
from asrattn.training.recipe import Recipe

FOLDER = Path(__file__).resolve().parents[3] / "recipes"
SHIPPED = sorted(FOLDER.glob("*/pretrain/*.py"))
SETTINGS = [
    "bestrq.codebook_size=16",
    "bestrq.mask_prob=0.03",
    "bestrq.mask_span=0.08",
    "model.encoder.dropout=0.1",
    "data.batch_seconds=12",
    "train.epochs=3",
]
RECIPE = override(from_recipe(tones.recipe(learning_rate=0.01)), SETTINGS)
TONE_SECONDS = 0.3  # longer than the masks: what is masked can be told from what is around it


def write(folder: Path, split: str, waves: Sequence[np.ndarray], text: str = "") -> None:
    utterances = []
    for number, wave in enumerate(waves):
        path = folder / "wav" / f"{split}-{number:02}.wav"
        audio.write(path, wave, tones.RATE)
        utterances.append(Utterance(path.stem, str(path), text, len(wave) / tones.RATE))
    manifest.write(folder / f"{split}.jsonl", utterances)


@pytest.fixture(scope="module")
def untranscribed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, draw = tmp_path_factory.mktemp("untranscribed"), np.random.default_rng(0)
    for split, count in (("train", 24), ("dev", 8)):
        texts = ["".join(draw.choice(list("abcd"), draw.integers(4, 10))) for _ in range(count)]
        write(folder, split, [tones.sing(text, TONE_SECONDS) for text in texts])
    return folder


def run(data: Path, out: Path, *settings: str, **kwargs: Any) -> Path:
    return fit(override(RECIPE, settings), data, out, accelerator="cpu", **kwargs)


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "metrics.csv").open(encoding="utf-8") as table:
        return [{k: v for k, v in row.items() if "seconds" not in k} for row in csv.DictReader(table)]


def weights(out: Path) -> dict[str, torch.Tensor]:
    """The last ones, the optimizer's state among them."""
    content = checkpointing.load(out / "last.ckpt")
    state = content["optimizer_states"][0]["state"]
    moments = {f"{i}.{k}": torch.as_tensor(v) for i, s in state.items() for k, v in s.items()}
    return {**content["state_dict"], **moments}


def test_it_learns_more_than_the_prior(untranscribed: Path, tmp_path: Path) -> None:
    faster = ("train.epochs=8", "model.encoder.dropout=0", "train.optimizer.learning_rate=0.02")
    path = run(untranscribed, tmp_path, *faster, seed=1)
    table = rows(tmp_path)
    best = min(table, key=lambda row: float(row["dev_loss"]))
    assert float(best["dev_accuracy"]) > 1.5 * float(best["dev_majority"])
    assert float(best["dev_loss"]) < 0.9 * float(best["dev_prior_loss"])
    saved = checkpoint.load(path)
    about = saved.card["pretraining"]
    assert isinstance(about, dict)
    assert about["dev_accuracy"] == pytest.approx(float(best["dev_accuracy"]), abs=1e-4)
    assert about["updates"] == int(best["step"])
    assert saved.card["untrained"] == ["decoder", "ctc"]
    assert saved.tokenizer == TOKENIZER
    recipe = from_plain(PretrainRecipe, saved.card["recipe"])
    assert recipe.bestrq == RECIPE.bestrq
    assert replace(saved.model.config, vocabulary=0) == recipe.model
    assert float(saved.model.frontend.mean.abs().sum()) > 0


@pytest.mark.parametrize(("epoch", "step"), [(0, 1), (1, 2), (1, -1)])
def test_stopped_and_resumed_is_the_same_as_in_one_go(
    untranscribed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epoch: int, step: int
) -> None:
    run(untranscribed, tmp_path / "whole")
    with monkeypatch.context() as patch:
        before = PretrainLightningModule.training_step

        def stopping(self: PretrainLightningModule, batches: Any, index: int) -> None:
            at = step % int(self.trainer.num_training_batches)
            if (self.trainer.current_epoch, self.steps) == (epoch, at):
                signal.raise_signal(signal.SIGTERM)
            before(self, batches, index)

        patch.setattr(PretrainLightningModule, "training_step", stopping)
        with pytest.raises(StoppedError, match=rf"SIGTERM in epoch {epoch + 1}; .*last\.ckpt is up to date"):
            run(untranscribed, tmp_path / "parts")
    run(untranscribed, tmp_path / "parts", resume=True)
    assert rows(tmp_path / "parts") == rows(tmp_path / "whole")
    parts, whole = weights(tmp_path / "parts"), weights(tmp_path / "whole")
    assert parts.keys() == whole.keys()
    assert all(torch.equal(parts[name], weight) for name, weight in whole.items())


def test_gradient_accumulation_changes_nothing(untranscribed: Path, tmp_path: Path) -> None:
    for name, bound in (("whole", "0"), ("parts", "4")):
        still = ("model.encoder.dropout=0", "train.epochs=2", f"data.max_device_seconds={bound}")
        run(untranscribed, tmp_path / name, *still)
    for one, other in zip(rows(tmp_path / "whole"), rows(tmp_path / "parts"), strict=True):
        assert float(one["train_loss"]) == pytest.approx(float(other["train_loss"]), rel=1e-3)
        assert one["step"] == other["step"]


def test_texts_are_ignored_and_audio_is_checked(untranscribed: Path, tmp_path: Path) -> None:
    waves = [tones.sing("abcd" * n, TONE_SECONDS) for n in (1, 2)]
    for name, text in (("with", "ξένον"), ("without", "")):
        write(tmp_path / name, "train", [*waves, waves[0][:100], waves[0][:900]], text)
        write(tmp_path / name, "dev", waves, text)
        run(tmp_path / name, tmp_path / name / "out", "train.epochs=1")
        dropped = (tmp_path / name / "out" / "dropped.tsv").read_text().splitlines()[1:]
        assert [line.split("\t")[:2] for line in dropped] == [["train-02", "too short"]]
    assert rows(tmp_path / "with" / "out") == rows(tmp_path / "without" / "out")
    streamed = ("train.epochs=1", "data.cache=0")
    run(tmp_path / "without", tmp_path / "streamed", *streamed)
    assert (tmp_path / "streamed" / "metrics.csv").is_file()


def test_a_collapsed_quantizer_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for split in ("train", "dev"):
        write(tmp_path, split, [np.zeros(8000, np.float32)] * 2)
    with caplog.at_level(logging.INFO, "asrattn"):
        run(tmp_path, tmp_path / "out", "train.epochs=1")
    assert "one code has 100 % of the frames of dev" in caplog.text


def test_patience_ends_a_run_that_gets_no_better(untranscribed: Path, tmp_path: Path) -> None:
    still = ("train.epochs=9", "train.patience=2", "train.optimizer.learning_rate=1e-12")
    run(untranscribed, tmp_path, *still)
    assert len(rows(tmp_path)) < 9


def test_what_does_not_go_together_is_told(untranscribed: Path, tmp_path: Path) -> None:
    run(untranscribed, tmp_path, "train.epochs=1")
    with pytest.raises(ConfigError, match="holds a run already"):
        run(untranscribed, tmp_path)
    with pytest.raises(ConfigError, match="another recipe"):
        run(untranscribed, tmp_path, resume=True)
    with pytest.raises(ConfigError, match="another seed"):
        run(untranscribed, tmp_path, "train.epochs=1", resume=True, seed=1)
    torch.save({}, tmp_path / "last.ckpt")
    with pytest.raises(CheckpointError, match="was not written by asrattn pretrain"):
        run(untranscribed, tmp_path, resume=True)
    with pytest.raises(DataError, match="non-finite loss or gradient in epoch 1"):
        run(untranscribed, tmp_path / "wild", "train.optimizer.learning_rate=1e30", "train.clip=0")


def test_a_dev_set_without_a_mask_is_told(untranscribed: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"dev\.jsonl: not a single frame was masked"):
        run(untranscribed, tmp_path, "bestrq.mask_prob=1e-9", "train.epochs=1")


def test_the_command_pretrains_a_speech_recipe(
    untranscribed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "recipe.py"
    tests = str(Path(tones.__file__).parent)
    lines = (
        "import sys",
        f"sys.path.insert(0, {tests!r})",
        "import tones",
        "RECIPE = tones.recipe(epochs=1)",
    )
    recipe.write_text("\n".join(lines))
    words = ["pretrain", str(recipe), "--data", str(untranscribed), "--out", str(tmp_path / "out")]
    words += ["--accelerator", "cpu", "--set", "bestrq.mask_span=0.08", "--set", "bestrq.mask_prob=0.03"]
    assert main([*words, "--seed", "3"]) == 0
    out, err = capsys.readouterr()
    assert out.strip() == str(tmp_path / "out" / "model.safetensors")
    assert "most frequent code" in err
    assert json.loads((tmp_path / "out" / "recipe.json").read_text())["name"] == "tones-pretrain"
    assert main(["describe", out.strip()]) == 0
    assert "untrained" in capsys.readouterr().out
    assert main(["transcribe", out.strip(), str(tiny.sound(tmp_path / "a.wav", 1.0))]) == 1
    assert "its decoder is untrained, so that it transcribes nothing" in capsys.readouterr().err
    assert main(["reproduce", out.strip()]) == 0
    assert "asrattn pretrain" in capsys.readouterr().out


def test_a_speech_model_is_fine_tuned_from_it(untranscribed: Path, corpus: Path, tmp_path: Path) -> None:
    path = run(untranscribed, tmp_path / "pretrained", "train.epochs=1")
    recipe = replace(tones.recipe(learning_rate=1e-12, epochs=1), model=RECIPE.model)
    tuned = speech_fit(recipe, corpus, tmp_path / "tuned", accelerator="cpu", init=path)
    before, after = (checkpoint.load(each).model for each in (path, tuned))
    assert torch.equal(before.frontend.mean, after.frontend.mean)
    assert isinstance(before.encoder, torch.nn.Module)
    assert isinstance(after.encoder, torch.nn.Module)
    for name, weight in before.encoder.state_dict().items():
        assert torch.allclose(after.encoder.state_dict()[name], weight, atol=1e-6), name


def test_a_speech_recipe_is_converted() -> None:
    speech = Recipe.load(FOLDER / "an4" / "conformer.py")
    found = PretrainRecipe.load(FOLDER / "an4" / "conformer.py")
    assert found == from_recipe(speech)
    assert (found.name, found.model) == ("an4-conformer-pretrain", speech.model)
    assert found.train.optimizer == speech.train.optimizer
    with pytest.raises(ConfigError, match=r"RECIPE is a LMRecipe; write RECIPE = PretrainRecipe"):
        PretrainRecipe.load(FOLDER / "an4" / "lm" / "lstm.py")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: f"{p.parents[1].name}-{p.stem}")
def test_shipped_recipes_are_values_and_fit_the_recipe_of_their_name(path: Path) -> None:
    recipe = PretrainRecipe.load(path)
    assert recipe.name == f"{path.parents[1].name}-pretrain-{path.stem}"
    assert from_plain(PretrainRecipe, to_plain(recipe)) == recipe
    assert recipe.model == Recipe.load(path.parents[1] / path.name).model
    assert SHIPPED


@pytest.mark.parametrize(
    "setting",
    [
        "bestrq.codebook_size=1",
        "bestrq.codebook_dim=0",
        "bestrq.codebooks=0",
        "bestrq.mask_prob=0",
        "bestrq.mask_span=0.001",
        "bestrq.noise_std=-1",
        "model.frontend.normalize=none",
        "data.concat_prob=0.5",
        "train.epochs=0",
        "train.patience=-1",
    ],
)
def test_settings_have_ranges(setting: str) -> None:
    with pytest.raises(ConfigError, match=setting.partition("=")[0]):
        override(RECIPE, [setting])


def test_muon_leaves_the_head_to_adamw() -> None:
    model = replace(RECIPE.model, vocabulary=9, encoder=LSTMEncoderConfig(dim=4, layers=1, channels=2))
    network = BestRQ(SpeechModel(model), BestRQConfig(), seed=0)
    joined = build_optimizer(MuonConfig(), network, fused=False)
    matrices = {id(p) for p in joined.param_groups[0]["params"]}
    names = {name for name, p in network.named_parameters() if id(p) in matrices}
    assert all(name.startswith("speech.encoder.") for name in names)
    assert names


def test_a_recipe_that_begins_from_another_model_is_refused() -> None:
    path = Path(__file__).parents[3] / "recipes" / "whisper" / "finetune.py"
    with pytest.raises(ConfigError, match="begins from another model, and pre-training begins from nothing"):
        PretrainRecipe.load(path)
