"""Our model of a Whisper and back: to the bit, from every format."""

from dataclasses import replace
from pathlib import Path

import pytest
import tiny
import tiny_whisper
import torch
from tiny_whisper import assert_same_weights

from asrattn import checkpoint
from asrattn.convert import ctranslate2, huggingface, openai, whisper
from asrattn.convert.model_file import export_model, import_model
from asrattn.convert.source import WhisperSource
from asrattn.errors import CheckpointError, ConfigError
from asrattn.text import BLANK, EOS, UNKNOWN

FORMATS = ("hf", "ct2", "openai")


def write(form: str, folder: Path, source: WhisperSource) -> tuple[str, Path | None]:
    """The model in a format, and its tokenizer.json if the format holds none."""
    path = folder / form
    if form == "hf":
        huggingface.write(path, source)
        return str(path), None
    if form == "ct2":
        ctranslate2.write(path, source, "float16")
        return str(path), None
    huggingface.write(folder / "other", source)
    openai.write(path.with_suffix(".pt"), source)
    return str(path.with_suffix(".pt")), folder / "other" / "tokenizer.json"


def read(form: str, path: Path, tokenizer: Path | None) -> WhisperSource:
    match form:
        case "hf":
            return huggingface.read(path)
        case "ct2":
            return ctranslate2.read(path, tokenizer)
        case _:
            return openai.read(path, tokenizer)


@pytest.mark.parametrize("form", FORMATS)
def test_import_and_export_are_exact(form: str, tmp_path: Path) -> None:
    source = tiny_whisper.source()
    name, tokenizer = write(form, tmp_path, source)
    model = import_model(name, tmp_path / "model.safetensors", tokenizer)
    out = export_model(model, tmp_path / "exported" / Path(name).name, form)  # type: ignore[arg-type]
    assert_same_weights(read(form, out, tokenizer), read(form, Path(name), tokenizer))


def test_all_formats_give_the_same_model(tmp_path: Path) -> None:
    made = [
        checkpoint.load(import_model(name, tmp_path / f"{form}.safetensors", tokenizer)).model
        for form in FORMATS
        for name, tokenizer in [write(form, tmp_path, tiny_whisper.source())]
    ]
    first, *others = (model.state_dict() for model in made)
    for other in others:
        assert all(torch.equal(weight, other[name]) for name, weight in first.items())
    for model in made[1:]:
        assert model.config.encoder == made[0].config.encoder
        assert model.config.decoder.prompt == made[0].config.decoder.prompt


def test_rules_survive() -> None:
    source = tiny_whisper.source()
    saved = whisper.to_native(source)
    decoder = saved.model.config.decoder
    assert decoder.suppress == tuple(saved.tokenizer.from_whisper(i) for i in (1, 2, 7))
    assert decoder.alignment_heads == source.rules.alignment_heads
    assert saved.card["untrained"] == ["ctc"]
    back = whisper.to_source(saved)
    assert (back.rules, back.dims, back.tokenizer) == (source.rules, source.dims, source.tokenizer)
    assert (back.origin, back.licence) == ("tiny-random", "mit")
    assert_same_weights(source, back)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_other_types_survive(dtype: torch.dtype) -> None:
    source = tiny_whisper.source(dtype=dtype)
    assert_same_weights(source, whisper.to_source(whisper.to_native(source)))


def test_fine_tuned_weights_are_exported() -> None:
    saved = whisper.to_native(tiny_whisper.source(dtype=torch.float32))
    with torch.no_grad():
        for weight in saved.model.parameters():
            weight.add_(torch.randn_like(weight))
    again = whisper.to_native(whisper.to_source(saved))
    state, other = saved.model.state_dict(), again.model.state_dict()
    for name, weight in state.items():
        if name.startswith(("encoder.", "decoder.")) and "bias" not in name and "embed" not in name:
            assert torch.equal(weight, other[name]), name
    own = [t for t in range(len(state["decoder.embed.weight"])) if t not in (BLANK, UNKNOWN)]
    assert torch.equal(state["decoder.embed.weight"][own], other["decoder.embed.weight"][own])


@torch.inference_mode()
def test_key_biases_that_are_left_out_change_nothing() -> None:
    saved = whisper.to_native(tiny_whisper.source(dtype=torch.float32))
    for name, weight in saved.model.named_parameters():
        if name.endswith(("qkv.bias", "key_value.bias")):
            weight.add_(torch.randn_like(weight))  # that of the keys too, as after a fine-tuning
    again = whisper.to_native(whisper.to_source(saved))
    wave, lens = torch.from_numpy(tiny.wave(0.8, rate=16000))[None], torch.tensor([12800])
    tokens = torch.tensor([[EOS, 5, 6, 7]])
    ours, theirs = (
        each.model.decoder(tokens, *each.model.encode(wave, lens)[:2]).logits for each in (saved, again)
    )
    torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-4)


def test_random_numbers_are_left_alone() -> None:
    torch.manual_seed(3)
    wanted = torch.rand(2)
    torch.manual_seed(3)
    whisper.to_native(tiny_whisper.source())
    assert torch.equal(torch.rand(2), wanted)


def test_what_cannot_be_is_told() -> None:
    source = tiny_whisper.source()
    with pytest.raises(CheckpointError, match="holds no tokenizer; name its"):
        whisper.to_native(replace(source, tokenizer=None))
    saved = checkpoint.Checkpoint(tiny.model(), tiny.TOKENIZER, {}, tiny.DECODING)
    with pytest.raises(ConfigError, match="a lstm decoder is no Whisper"):
        whisper.to_source(saved)
