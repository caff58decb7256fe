"""A student with some of the teacher's decoder layers: which it begins with, how it is trained, that others load it."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny
import tiny_whisper
import tones
import torch

from asrattn import checkpoint
from asrattn.checkpoint import Checkpoint
from asrattn.config import from_plain, override, to_plain
from asrattn.convert.model_file import export_model
from asrattn.convert.source import weight_shapes
from asrattn.decoders import TransformerDecoderConfig
from asrattn.decoding import DecodingConfig
from asrattn.errors import ConfigError
from asrattn.model import ModelConfig
from asrattn.model.speech_model import SpeechModel
from asrattn.training import finetune, initialization
from asrattn.training.distillation import has_same_encoder
from asrattn.training.fit import fit
from asrattn.training.recipe import InitConfig, Recipe

RECIPE = Path(__file__).resolve().parents[2] / "recipes" / "whisper" / "distil.py"
LAYERS = 4
HEADS = ((1, 0), (1, 1), (3, 1))


def teacher() -> Checkpoint:
    """A Whisper with four decoder layers, each with weights of its own."""
    source = tiny_whisper.source(audio_context=1500)
    dims = replace(source.dims, decoder_layers=LAYERS)
    generator = torch.Generator().manual_seed(2)
    fresh = {
        name: (torch.randn(shape, generator=generator) * 0.3).half()
        for name, shape in weight_shapes(dims).items()
    }
    rules = replace(source.rules, alignment_heads=HEADS)
    return tiny_whisper.native(replace(source, dims=dims, weights=fresh | source.weights, rules=rules))


@pytest.fixture(scope="module")
def init(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_whisper.model_file(tmp_path_factory.mktemp("teacher"), teacher())


def student(init: Path, *layers: int) -> tuple[Recipe, SpeechModel]:
    """With the weights that it begins with."""
    recipe = initialization.load_recipe(
        RECIPE, [f"init.decoder_layers={','.join(map(str, layers))}"] if layers else [], init
    )
    saved = checkpoint.load(init)
    model = SpeechModel(replace(recipe.model, vocabulary=saved.tokenizer.size))
    assert recipe.init
    finetune.copy_parts(model, saved, init, recipe.init.parts, recipe.init.decoder_layers)
    return recipe, model


@pytest.mark.parametrize(
    ("given", "taken", "heads"),
    [
        ((), (0, 3), ((1, 1),)),  # the recipe's own
        ((1,), (1,), ((0, 0), (0, 1))),
        ((0, -3, -1), (0, 1, 3), ((1, 0), (1, 1), (2, 1))),
        ((0, 2), (0, 2), ()),
        ((0, 1, 2, 3), (0, 1, 2, 3), HEADS),
    ],
)
def test_a_student_begins_with_these_layers_and_their_alignment_heads(
    init: Path, given: tuple[int, ...], taken: tuple[int, ...], heads: tuple[tuple[int, int], ...]
) -> None:
    recipe, model = student(init, *given)
    assert recipe.init
    assert recipe.init.decoder_layers == taken
    assert recipe.model.decoder.layers == len(model.decoder.layers) == len(taken)  # type: ignore[arg-type]
    assert recipe.model.decoder.alignment_heads == heads  # type: ignore[union-attr]
    theirs = checkpoint.load(init).model.state_dict()
    for name, weight in model.state_dict().items():
        source = name
        if name.startswith("decoder.layers."):
            number = name.split(".")[2]
            source = name.replace(f"layers.{number}.", f"layers.{taken[int(number)]}.")
        if not name.startswith("ctc."):
            assert torch.equal(weight, theirs[source]), name


def test_all_layers_give_the_model_itself(init: Path) -> None:
    _, model = student(init, 0, 1, 2, 3)
    whole = checkpoint.load(init).model
    wave, lens = torch.randn(1, 8000), torch.tensor([8000])
    tokens = torch.tensor([[5, 6, 7]])
    with torch.inference_mode():
        encoded = whole.encode(wave, lens)
        ours, theirs = (m.eval().decoder(tokens, encoded.output, encoded.lens).logits for m in (model, whole))
    assert torch.equal(ours, theirs)


def test_a_resolved_recipe_is_its_own_description(init: Path) -> None:
    """What the card keeps builds the same model again, without the file of the teacher."""
    recipe, _ = student(init)
    again = from_plain(Recipe, to_plain(recipe))
    assert again == recipe
    assert initialization.resolve(again, None) == recipe


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["init.decoder_layers=0,4"], "its decoder has 4 layers; init.decoder_layers names 4"),
        (["init.decoder_layers=-5"], "its decoder has 4 layers; init.decoder_layers names -5"),
        (["init.decoder_layers=2,0"], "2, 0 of 4 layers are not in their order"),
        (["init.decoder_layers=3,-1"], "one is named twice"),
        (["init.parts=frontend,encoder"], "init.decoder_layers: the decoder is not taken"),
        (["model.decoder.layers=3"], "model.decoder.layers is 3, but init.decoder_layers names 2 layers"),
    ],
)
def test_layers_that_cannot_be_taken_are_reported(init: Path, settings: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        initialization.load_recipe(RECIPE, settings, init)


def test_a_recurrent_decoder_has_no_layers_to_choose(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="this one is recurrent"):
        initialization.load_recipe(RECIPE, [], tiny.model_file(tmp_path))


def test_layers_of_a_transformer_decoder(tmp_path: Path) -> None:
    decoder = TransformerDecoderConfig(dim=8, layers=3, heads=2, ffn_dim=8)
    config = replace(tiny.config(), decoder=decoder)
    path = tmp_path / "model.safetensors"
    checkpoint.save(path, SpeechModel(config), tiny.TOKENIZER, {}, DecodingConfig())
    recipe = Recipe("r", ModelConfig(), init=InitConfig(decoder_layers=(0, 2)))
    found = initialization.resolve(recipe, path)
    assert found.model.decoder == replace(decoder, layers=2)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tones.write_corpus(tmp_path_factory.mktemp("corpus"), train=4, dev=2)


def distil(init: Path, corpus: Path, out: Path, *settings: str) -> Path:
    fixed = ["train.epochs=2", "train.precision=fp32", "decoding.max_length=0.02", "train.ema=0"]
    recipe = initialization.load_recipe(RECIPE, [*fixed, *settings], init)
    return fit(recipe, data=corpus, out=out, accelerator="cpu", init=init)


def count_encoded(monkeypatch: pytest.MonkeyPatch) -> "Counter[int]":
    """How often each length of audio goes through an encoder."""
    counts: Counter[int] = Counter()
    encode = SpeechModel.encode

    def counted(self: SpeechModel, wave: torch.Tensor, lens: torch.Tensor) -> Any:
        counts.update(lens.tolist())
        return encode(self, wave, lens)

    monkeypatch.setattr(SpeechModel, "encode", counted)
    return counts


@pytest.mark.filterwarnings("ignore:constrained_layout not applied")
def test_a_student_is_trained_and_exported(
    init: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its decoder moves and its encoder stays; an utterance is encoded once for both models and all epochs;
    transformers computes the same logits."""
    counts = count_encoded(monkeypatch)
    path = distil(init, corpus, tmp_path / "run")
    assert counts.total() == 4 + 2
    monkeypatch.undo()
    saved, whole = checkpoint.load(path), checkpoint.load(init).model.state_dict()
    _, start = student(init)
    moved = {
        name for name, w in saved.model.state_dict().items() if not torch.equal(w, start.state_dict()[name])
    }
    assert {name.split(".")[0] for name in moved - {"ctc.weight", "ctc.bias"}} == {"decoder"}
    assert {name.split(".")[2] for name in moved if name.startswith("decoder.layers.")} == {"0", "1"}
    assert torch.equal(saved.model.state_dict()["decoder.embed.weight"], whole["decoder.embed.weight"])
    assert "distill_decoder" in (tmp_path / "run" / "metrics.csv").read_text().splitlines()[0]
    compare_with_transformers(saved, export_model(path, tmp_path / "hf", "hf", "float32"))


def compare_with_transformers(saved: Checkpoint, folder: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="the extra hf is not installed")
    theirs = transformers.WhisperForConditionalGeneration.from_pretrained(folder).eval()
    assert theirs.config.decoder_layers == 2
    assert theirs.generation_config.alignment_heads == [[1, 1]]
    model, tokenizer = saved.model.eval(), saved.tokenizer
    wave = torch.randn(1, 480000) * 0.1
    tokens = [5, 6, 7]
    with torch.inference_mode():
        feats, lens = model.frontend(wave, torch.tensor([480000]))
        encoded = model.encoder(feats, lens)
        ours = model.decoder(torch.tensor([[1, *tokens]]), encoded.output, encoded.lens).logits[0]
        ids = [*map(tokenizer.to_whisper, (*model.decoder.prompt, *tokens))]  # type: ignore[attr-defined, arg-type, misc]
        found = theirs(input_features=feats.transpose(1, 2), decoder_input_ids=torch.tensor([ids])).logits[0]
    past = len(model.decoder.prompt) - 1  # type: ignore[arg-type]
    order = [tokenizer.from_whisper(i) for i in range(found.shape[-1])]  # type: ignore[attr-defined]
    torch.testing.assert_close(ours[:, order], found[past:], rtol=1e-3, atol=1e-3)


@pytest.mark.filterwarnings("ignore:constrained_layout not applied")
def test_a_student_with_silence_samples_learns_from_the_exact_teacher(
    init: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Encoders that differ keep outputs of their own: train twice, dev once."""
    counts = count_encoded(monkeypatch)
    distil(init, corpus, tmp_path, "model.encoder.silence_samples=16")
    assert counts.total() == 2 * 4 + 2


def test_encoders_that_are_the_same() -> None:
    saved = tiny_whisper.native()
    recipe = Recipe("r", saved.model.config, init=InitConfig())
    assert has_same_encoder(saved.model, recipe)
    assert has_same_encoder(saved.model, replace(recipe, init=None))
    assert not has_same_encoder(saved.model, override(recipe, ["model.encoder.silence_samples=16"]))
    assert not has_same_encoder(saved.model, override(recipe, ["init.parts=frontend,decoder"]))
