"""Files of OpenAI: the names and sizes of `whisper`, there and back to the bit, and bad files say so in a line."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_whisper
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_whisper import assert_same_weights

from asrattn.convert import huggingface, openai
from asrattn.convert.source import WhisperSource, weight_shapes
from asrattn.errors import AsrattnError, CheckpointError, ConfigError


@pytest.fixture
def source() -> WhisperSource:
    return tiny_whisper.source()


@pytest.fixture
def tokenizer(source: WhisperSource, tmp_path: Path) -> Path:
    path = tmp_path / "tokenizer.json"
    path.write_text(str(source.tokenizer), "utf-8")
    return path


@pytest.fixture
def file(source: WhisperSource, tmp_path: Path) -> Path:
    openai.write(tmp_path / "tiny.pt", source)
    return tmp_path / "tiny.pt"


def error_of(file: Path, tokenizer: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        openai.read(file, tokenizer)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_names_are_those_of_whisper() -> None:
    """One of each kind, as whisper/model.py has them."""
    names = {openai.openai_name(name) for name in weight_shapes(replace(tiny_whisper.DIMS, vocabulary=9))}
    expected = """
        encoder.conv1.weight encoder.conv2.bias encoder.positional_embedding encoder.ln_post.weight
        encoder.blocks.0.attn.query.weight encoder.blocks.0.attn.query.bias encoder.blocks.1.attn.key.weight
        encoder.blocks.0.attn.value.bias encoder.blocks.0.attn.out.weight encoder.blocks.0.attn_ln.bias
        encoder.blocks.0.mlp.0.weight encoder.blocks.0.mlp.2.bias encoder.blocks.0.mlp_ln.weight
        decoder.token_embedding.weight decoder.positional_embedding decoder.ln.weight decoder.ln.bias
        decoder.blocks.0.cross_attn.key.weight decoder.blocks.0.cross_attn.out.bias decoder.blocks.1.attn.out.bias
        decoder.blocks.0.cross_attn_ln.weight decoder.blocks.0.attn_ln.weight decoder.blocks.1.mlp_ln.bias
    """
    assert set(expected.split()) <= names
    assert not any(
        part in name for name in names for part in ("model.", "layers", "_proj", "fc", "embed_", "norm")
    )


@pytest.mark.parametrize("size", tiny_whisper.SIZES)
def test_there_and_back(size: str, tmp_path: Path) -> None:
    source = tiny_whisper.source(tiny_whisper.SIZES[size])
    openai.write(tmp_path / f"{size}.pt", source)
    huggingface.write(tmp_path / "hf", source)
    found = openai.read(tmp_path / f"{size}.pt", tmp_path / "hf")
    assert_same_weights(source, found)
    assert (found.dims, found.tokenizer, found.origin) == (source.dims, source.tokenizer, size)
    assert found.rules.begin_suppress[-1] == (50256 if size == "tiny.en" else 50257)
    huggingface.write(tmp_path / "hf", found)
    assert_same_weights(source, huggingface.read(tmp_path / "hf"))


def test_real_model_there_and_back(tmp_path: Path) -> None:
    folder = tiny_whisper.real_folder()
    source = huggingface.read(folder)
    openai.write(tmp_path / "tiny.en.pt", source)
    found = openai.read(tmp_path / "tiny.en.pt", folder / "tokenizer.json")
    assert_same_weights(source, found)
    assert found.rules == replace(source.rules, alignment_heads=())
    plain = torch.load(tmp_path / "tiny.en.pt", weights_only=True)
    assert plain["dims"] == {
        "n_mels": 80,
        "n_vocab": 51864,
        "n_audio_ctx": 1500,
        "n_audio_state": 384,
        "n_audio_head": 6,
        "n_audio_layer": 4,
        "n_text_ctx": 448,
        "n_text_state": 384,
        "n_text_head": 6,
        "n_text_layer": 4,
    }


def test_buffers_may_be_there_or_not(source: WhisperSource, file: Path, tokenizer: Path) -> None:
    """The encoder's positions are sinusoids; alignment heads are stored by few programs, as a sparse tensor."""
    plain = torch.load(file, weights_only=True)
    del plain["model_state_dict"]["encoder.positional_embedding"]
    heads = torch.zeros(2, 2, dtype=torch.bool)
    heads[1, 0] = True
    plain["model_state_dict"]["alignment_heads"] = heads.to_sparse()
    torch.save(plain, file)
    found = openai.read(file, tokenizer)
    name = "model.encoder.embed_positions.weight"
    assert torch.equal(found.weights[name].half(), source.weights[name])
    assert found.rules.alignment_heads == ((1, 0),)
    outside = torch.sparse_coo_tensor(
        torch.tensor([[9], [9]]), torch.tensor([True]), (2, 2), check_invariants=False
    )
    torch.save(plain | {"model_state_dict": plain["model_state_dict"] | {"alignment_heads": outside}}, file)
    assert "damaged" in error_of(file, tokenizer)
    plain["model_state_dict"]["alignment_heads"] = torch.zeros(3, 2, dtype=torch.bool)
    torch.save(plain, file)
    assert "alignment_heads has shape (3, 2)" in error_of(file, tokenizer)


def test_tokenizer_must_be_named(file: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no tokenizer"):
        openai.read(file, None)
    assert "tokenizer.json: is missing" in error_of(file, tmp_path / "tokenizer.json")
    (tmp_path / "other.json").write_text(tiny_whisper.tokenizer_of_vocabulary(51865), "utf-8")
    assert "name the tokenizer of this model" in error_of(file, tmp_path / "other.json")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"n_vocab": -1}, "n_vocab is -1"),
        ({"n_vocab": "many"}, "n_vocab is many"),
        ({"n_text_layer": 10**9}, "n_text_layer is 1000000000"),
        ({"n_text_state": 16}, "n_audio_state and n_text_state differ"),
        ({"n_mels": 128}, "conv1.weight has shape"),
        ({"n_text_layer": 1}, "which Whisper has not"),
        ({"n_text_head": 3}, "decoder_heads 3"),
    ],
)
def test_sizes_that_do_not_fit(file: Path, tokenizer: Path, change: dict[str, Any], said: str) -> None:
    plain = torch.load(file, weights_only=True)
    torch.save(plain | {"dims": plain["dims"] | change}, file)
    message = error_of(file, tokenizer)
    assert said in message
    assert str(file) in message


@pytest.mark.parametrize(
    "content",
    [{}, [], {"dims": 3}, {"dims": {}, "model_state_dict": {}}, torch.zeros(3), {"model_state_dict": {}}],
)
def test_other_content(tmp_path: Path, tokenizer: Path, content: object) -> None:
    torch.save(content, tmp_path / "other.pt")
    assert "other.pt" in error_of(tmp_path / "other.pt", tokenizer)


def test_weights_that_are_none(file: Path, tokenizer: Path) -> None:
    plain = torch.load(file, weights_only=True)
    torch.save(plain | {"model_state_dict": {"a": 1}}, file)
    assert "holds no table of weights" in error_of(file, tokenizer)


class Evil:
    """Runs a command where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.mark),)


def test_pickle_with_code_is_not_run(file: Path, tokenizer: Path, tmp_path: Path) -> None:
    plain = torch.load(file, weights_only=True)
    torch.save(plain | {"more": Evil(tmp_path / "mark")}, file)
    assert "holds code" in error_of(file, tokenizer)
    assert not (tmp_path / "mark").exists()


def test_truncated_file(file: Path, tokenizer: Path) -> None:
    content = file.read_bytes()
    for size in (0, 3, 1000, len(content) - 1):
        file.write_bytes(content[:size])
        assert "truncated" in error_of(file, tokenizer)
    file.unlink()
    assert "does not exist" in error_of(file, tokenizer)


def test_write_refuses_what_the_format_cannot_hold(tmp_path: Path) -> None:
    dims = replace(tiny_whisper.source().dims, decoder_ffn_dim=16)
    source = tiny_whisper.source()
    weights = {name: torch.zeros(shape) for name, shape in weight_shapes(dims).items()}
    with pytest.raises(ConfigError, match="decoder_ffn_dim is 16, a file of OpenAI needs 32"):
        openai.write(tmp_path / "a.pt", replace(source, dims=dims, weights=weights))
    with pytest.raises(CheckpointError, match="lacks model"):
        openai.write(tmp_path / "a.pt", replace(source, weights={}))
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    huggingface.write(folder, tiny_whisper.source())
    openai.write(folder / "tiny.pt", tiny_whisper.source())
    return folder


@given(data=st.data())
def test_damaged_bytes_are_a_user_error(whole: Path, data: st.DataObject) -> None:
    """The file is read, or the error is ours."""
    content = bytearray((whole / "tiny.pt").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, 4000))] = data.draw(st.integers(0, 255))
    (whole / "damaged.pt").write_bytes(content)
    try:
        openai.read(whole / "damaged.pt", whole)
    except AsrattnError as error:
        assert json.dumps(str(error)).count("\\n") == 0  # noqa: PT017
