"""Runs that begin from the parts of another model, here of a Whisper with random weights."""

from dataclasses import replace
from pathlib import Path

import pytest
import tiny
import tiny_whisper
import tones
import torch

from asrattn import checkpoint
from asrattn.augment import AugmentConfig
from asrattn.checkpoint import Checkpoint
from asrattn.decoders import RecurrentDecoderConfig, WhisperDecoderConfig
from asrattn.decoding import DecodingConfig
from asrattn.encoders import WhisperEncoderConfig
from asrattn.errors import ConfigError, DataError
from asrattn.features import FeatureConfig
from asrattn.model import LossConfig, ModelConfig
from asrattn.text import CharTokenizer, WhisperTokenizer
from asrattn.training import initialization
from asrattn.training.fit import fit
from asrattn.training.optimizers import AdamWConfig
from asrattn.training.recipe import DataConfig, InitConfig, Recipe, TrainConfig

WHOLE = Recipe(
    "whole",
    model=ModelConfig(),
    init=InitConfig(settings=("model.encoder.silence_samples=4",)),
    data=DataConfig(batch_seconds=8.0),
    augment=AugmentConfig.off(),
    loss=LossConfig(ctc=0.0),
    train=TrainConfig(
        epochs=2, optimizer=AdamWConfig(learning_rate=2e-2), precision="fp32", ema=0.0, validate_beam=1
    ),
    decoding=DecodingConfig(beam_size=1, ctc=0.0, max_length=0.2),
)
ENCODER = replace(
    WHOLE,
    model=ModelConfig(decoder=RecurrentDecoderConfig(dim=8, embedding=4)),
    init=InitConfig(parts=("frontend", "encoder")),
    loss=LossConfig(ctc=0.3),
)


@pytest.fixture(scope="module")
def init(tmp_path_factory: pytest.TempPathFactory) -> Path:
    saved = tiny_whisper.native(tiny_whisper.source())
    return tiny_whisper.model_file(tmp_path_factory.mktemp("init"), saved)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tones.write_corpus(tmp_path_factory.mktemp("few"), train=8, dev=3)


def run(recipe: Recipe, data: Path, out: Path, init: Path | None, resume: bool = False) -> Checkpoint:
    return checkpoint.load(fit(recipe, data, out, init=init, resume=resume, accelerator="cpu"))


def test_all_parts_and_settings_are_taken(init: Path) -> None:
    theirs = checkpoint.load(init).model.config
    found = initialization.resolve(WHOLE, init)
    assert found.model == replace(theirs, encoder=replace(theirs.encoder, silence_samples=4))
    assert found.init
    assert found.init.resolved
    assert initialization.resolve(found, None) is found
    assert isinstance(initialization.taken_tokenizer(found, init), WhisperTokenizer)


def test_some_parts_are_taken(init: Path) -> None:
    found = initialization.resolve(ENCODER, init)
    assert found.model.encoder == checkpoint.load(init).model.config.encoder
    assert found.model.frontend == FeatureConfig.whisper()
    assert found.model.decoder == ENCODER.model.decoder
    assert (found.model.vocabulary, found.model.ctc_labels) == (0, "tokens")
    assert initialization.taken_tokenizer(found, init) is None


def test_recipe_without_init_stays_as_it_is(init: Path) -> None:
    recipe = tones.recipe()
    assert initialization.resolve(recipe, None) is recipe
    assert initialization.resolve(recipe, init) is recipe
    assert initialization.taken_tokenizer(recipe, init) is None


def test_init_is_needed() -> None:
    with pytest.raises(
        ConfigError, match="the recipe 'whole' begins from a pre-trained model; name it with --init"
    ):
        initialization.resolve(WHOLE, None)


def test_untrained_part_is_told(tmp_path: Path) -> None:
    saved = tiny_whisper.native(tiny_whisper.source())
    saved.card["untrained"] = ["ctc", "decoder"]
    path = tiny_whisper.model_file(tmp_path, saved)
    with pytest.raises(ConfigError, match="its decoder is untrained; take other parts") as told:
        initialization.resolve(WHOLE, path)
    assert "--set init.parts=frontend,encoder,ctc" in str(told.value)
    assert initialization.resolve(ENCODER, path).model.encoder == saved.model.config.encoder


def test_another_kind_of_model_is_told_with_what_suits_it(init: Path, small: Path, tmp_path: Path) -> None:
    lstm = fit(tones.recipe(epochs=1), small, tmp_path / "lstm", accelerator="cpu")
    with pytest.raises(ConfigError, match="its encoder is lstm; the recipe 'whole' suits another model"):
        initialization.resolve(WHOLE, lstm)
    with pytest.raises(
        ConfigError, match="weights fit the same model only: take its own recipe, or one that takes"
    ):
        fit(tones.recipe(), small, tmp_path / "other", init=init, accelerator="cpu")
    changed = replace(WHOLE, init=InitConfig(settings=("model.decoder.ffn_dim=8",)))
    with pytest.raises(
        ConfigError, match=r"its decoder\..* has the shape .*, the recipe's has the shape .*; take other"
    ):
        fit(changed, small, tmp_path / "changed", init=init, accelerator="cpu")


def test_whole_model_is_fine_tuned_and_resumed(init: Path, small: Path, tmp_path: Path) -> None:
    recipe = replace(WHOLE, train=replace(WHOLE.train, freeze=("encoder", "ctc")))
    done = run(recipe, small, tmp_path / "run", init)
    base = checkpoint.load(init)
    assert done.tokenizer == base.tokenizer
    assert done.decoding == recipe.decoding
    theirs = base.model.state_dict()
    for name, weight in done.model.state_dict().items():
        if name.startswith(("encoder.", "frontend.")):
            assert torch.equal(weight, theirs[name]), name
    assert not torch.equal(done.model.decoder.positions, base.model.decoder.positions)  # type: ignore[arg-type]
    assert done.card["origin"] == "tiny-random"
    assert done.card["untrained"] == ["ctc"]
    fit(
        replace(recipe, train=replace(recipe.train, epochs=1)),
        small,
        tmp_path / "part",
        init=init,
        accelerator="cpu",
    )
    resumed = run(recipe, small, tmp_path / "part", init, resume=True)
    assert resumed.tokenizer == done.tokenizer
    assert {name: w.shape for name, w in resumed.model.state_dict().items()} == {
        name: w.shape for name, w in done.model.state_dict().items()
    }


def test_encoder_alone_with_a_decoder_of_its_own(init: Path, small: Path, tmp_path: Path) -> None:
    recipe = replace(ENCODER, train=replace(ENCODER.train, epochs=1, freeze=("encoder",)))
    done = run(recipe, small, tmp_path, init)
    config = done.model.config
    assert isinstance(config.encoder, WhisperEncoderConfig)
    assert not isinstance(config.decoder, WhisperDecoderConfig)
    assert isinstance(done.tokenizer, CharTokenizer)
    theirs = checkpoint.load(init).model.encoder.state_dict()  # type: ignore[attr-defined]
    ours = done.model.encoder.state_dict()  # type: ignore[attr-defined]
    assert all(torch.equal(weight, theirs[name]) for name, weight in ours.items())


def test_text_with_too_many_tokens_is_dropped(init: Path, tmp_path: Path) -> None:
    """In dev it is told: every reference counts."""
    data = tones.write_corpus(tmp_path / "data", train=6, dev=2)
    lines = (data / "train.jsonl").read_text("utf-8").splitlines()
    lines[0] = lines[0].replace('"text": "', '"text": "' + 500 * "ab")
    (data / "train.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    recipe = replace(WHOLE, train=replace(WHOLE.train, epochs=1))
    run(recipe, data, tmp_path / "run", init)
    (dropped,) = (tmp_path / "run" / "dropped.tsv").read_text("utf-8").splitlines()[1:]
    assert "\ttoo many tokens\t" in dropped
    assert "tokens, the decoder takes 446; split the recording" in dropped
    (data / "dev.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    with pytest.raises(DataError, match=r"dev\.jsonl: .*: too many tokens: .*, or take it out"):
        run(recipe, data, tmp_path / "other", init)


def test_streamed_text_with_too_many_tokens_is_dropped(init: Path, tmp_path: Path, caplog) -> None:
    data = tones.write_corpus(tmp_path / "data", train=6, dev=2)
    lines = (data / "train.jsonl").read_text("utf-8").splitlines()
    lines[0] = lines[0].replace('"text": "', '"text": "' + 500 * "ab")
    (data / "train.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    recipe = replace(WHOLE, data=replace(WHOLE.data, cache=0.0), train=replace(WHOLE.train, epochs=1))
    run(recipe, data, tmp_path / "run", init)
    assert "too many tokens" in caplog.text


def test_model_of_another_kind_needs_no_init(small: Path, tmp_path: Path) -> None:
    assert (
        run(tones.recipe(epochs=1), small, tmp_path, None).model.config.encoder
        == tones.recipe().model.encoder
    )
    assert tiny.config().encoder.kind == "lstm"
