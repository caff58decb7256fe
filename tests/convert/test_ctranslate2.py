"""Folders of CTranslate2: the bytes of its own converter, there and back to the bit, and bad files say so in a line."""

import json
import shutil
import struct
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_whisper
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_whisper import assert_same_weights

from asrattn.convert import ctranslate2, huggingface, model_bin
from asrattn.convert.model_bin import ModelBin
from asrattn.convert.source import WhisperSource
from asrattn.errors import CheckpointError, ConfigError

CROSS_KEYS = "decoder/layer_0/attention/linear_1/bias"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that is all right."""
    folder = tmp_path_factory.mktemp("models") / "whole"
    ctranslate2.write(folder, tiny_whisper.source())
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(whole, tmp_path / "model"))


def error_of(folder: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        ctranslate2.read(folder)
    message = str(caught.value)
    assert str(folder) in message
    assert "\n" not in message
    return message


def change(folder: Path, spec: str = "WhisperSpec", **variables: torch.Tensor | None) -> None:
    """Of the variables of a model.bin; None takes one away."""
    content = model_bin.read(folder / "model.bin")
    changed = {name: v for name, v in (content.variables | variables).items() if v is not None}
    model_bin.write(folder / "model.bin", ModelBin(spec, 3, changed, content.aliases))


@pytest.mark.parametrize("size", tiny_whisper.SIZES)
def test_there_and_back(size: str, tmp_path: Path) -> None:
    source = tiny_whisper.source(tiny_whisper.SIZES[size])
    ctranslate2.write(tmp_path / size, source, "float16")
    found = ctranslate2.read(tmp_path / size)
    assert_same_weights(source, found)
    assert found == replace(source, weights=found.weights, origin=size)
    huggingface.write(tmp_path / "hf", found)
    assert_same_weights(source, huggingface.read(tmp_path / "hf"))


def test_float32_keeps_the_values(tmp_path: Path) -> None:
    source = tiny_whisper.source()
    ctranslate2.write(tmp_path, source, "float32")
    found = ctranslate2.read(tmp_path)
    assert all(torch.equal(weight.float(), found.weights[name]) for name, weight in source.weights.items())
    assert {weight.dtype for weight in found.weights.values()} == {torch.float32}


def test_files_of_a_multilingual_model(tmp_path: Path) -> None:
    source = tiny_whisper.source(tiny_whisper.SIZES["tiny"])
    ctranslate2.write(tmp_path, replace(source, rules=replace(source.rules, alignment_heads=())))
    plain = json.loads((tmp_path / "config.json").read_text("utf-8"))
    assert plain["lang_ids"] == list(range(50259, 50358))
    assert plain["alignment_heads"] == [[1, 0], [1, 1]]  # the upper half
    tokens = json.loads((tmp_path / "vocabulary.json").read_text("utf-8"))
    assert len(tokens) == 51865
    assert (tokens[50257], tokens[50364], tokens[-1]) == ("<|endoftext|>", "<|0.00|>", "<|30.00|>")


def from_transformers(dims_of: str, folder: Path) -> Path:
    """A model that transformers itself saved, and our tokenizer."""
    transformers = pytest.importorskip("transformers")
    dims = tiny_whisper.SIZES[dims_of]
    sizes = {theirs: getattr(dims, ours) for ours, theirs in huggingface.SIZES.items()}
    torch.manual_seed(1)
    model = transformers.WhisperForConditionalGeneration(transformers.WhisperConfig(**sizes)).half()
    model.save_pretrained(folder)
    source = replace(tiny_whisper.source(dims), weights=huggingface.read_weights(folder, dims))
    huggingface.write(folder, source)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("quantization", ["float16", "float32", "int8", "int16", "int8_float16", "bfloat16"])
def test_folder_of_the_converter_is_read(quantization: str, tmp_path: Path) -> None:
    """Float variables are equal to the bit, and so is our model.bin; integers are as near as their steps."""
    converters = pytest.importorskip("ctranslate2.converters")
    source = huggingface.read(from_transformers("tiny", tmp_path / "hf"))
    copied = ["tokenizer.json", "preprocessor_config.json"]
    converters.TransformersConverter(str(tmp_path / "hf"), copy_files=copied).convert(
        str(tmp_path / "theirs"), quantization=quantization
    )
    found = ctranslate2.read(tmp_path / "theirs")
    assert found.rules == source.rules
    assert found.dims == source.dims
    for name, weight in source.weights.items():
        limit = weight.float().abs().max() * (0 if quantization.startswith("float") else 0.005)
        assert (weight.float() - found.weights[name].float()).abs().max() <= limit, name
    if quantization == "float16":
        assert_same_weights(source, found)
    if quantization.startswith("int"):
        assert {weight.dtype for weight in found.weights.values()} == {torch.float32}


def test_int8_and_int16_are_dequantised(folder: Path) -> None:
    name = "decoder/layer_0/ffn/linear_0/weight"
    scales = torch.arange(1.0, 33.0)
    whole = torch.randint(-127, 128, (32, 8), dtype=torch.int8)
    change(folder, **{name: whole, name + "_scale": scales})
    found = ctranslate2.read(folder)
    assert torch.equal(found.weights["model.decoder.layers.0.fc1.weight"], whole.float() / scales[:, None])
    assert {weight.dtype for weight in found.weights.values()} == {torch.float32}
    change(folder, **{name: whole.short() * 200, name + "_scale": torch.tensor(1024.0)})
    found = ctranslate2.read(folder)
    assert torch.equal(found.weights["model.decoder.layers.0.fc1.weight"], whole.float() * 200 / 1024)
    change(folder, **{name + "_scale": torch.ones(5)})
    assert "linear_0/weight_scale does not suit" in error_of(folder)
    change(folder, **{name + "_scale": None})
    assert "fc1.weight is int16" in error_of(folder)


@pytest.mark.slow
def test_ctranslate2_loads_what_is_written(tmp_path: Path) -> None:
    """The same probabilities as from the folder of its own converter."""
    ct2 = pytest.importorskip("ctranslate2")
    converters = pytest.importorskip("ctranslate2.converters")
    source = huggingface.read(from_transformers("large-v3-turbo", tmp_path / "hf"))
    ctranslate2.write(tmp_path / "ours", source, "float32")
    copied = ["tokenizer.json", "preprocessor_config.json"]
    converters.TransformersConverter(str(tmp_path / "hf"), copy_files=copied).convert(
        str(tmp_path / "theirs")
    )
    features = np.random.default_rng(1).standard_normal((1, 128, 3000)).astype(np.float32)
    results = []
    for name in ("ours", "theirs"):
        model = ct2.models.Whisper(
            str(tmp_path / name), device="cpu", compute_type="float32", intra_threads=1
        )
        assert model.is_multilingual
        prompt = [[50258, 50259, 50360]]
        found = model.generate(
            ct2.StorageView.from_array(features), prompt, return_scores=True, max_length=20
        )
        results.append((found[0].sequences_ids, found[0].scores))
    assert results[0] == results[1]


@pytest.mark.slow
def test_faster_whisper_hears_the_same_as_transformers(shared_data: Path, tmp_path: Path) -> None:
    """Of the real model, written by us, and of the folder that CTranslate2's converter makes of it; to the byte."""
    faster_whisper = pytest.importorskip("faster_whisper")
    converters = pytest.importorskip("ctranslate2.converters")
    folder = tiny_whisper.real_folder()
    ctranslate2.write(tmp_path / "ours", huggingface.read(folder))
    copied = ["tokenizer.json", "preprocessor_config.json"]
    converters.TransformersConverter(str(folder), copy_files=copied).convert(
        str(tmp_path / "theirs"), quantization="float16"
    )
    for name in ("model.bin", "tokenizer.json"):
        assert (tmp_path / "ours" / name).read_bytes() == (tmp_path / "theirs" / name).read_bytes()
    for name in ("vocabulary.json", "config.json"):
        ours, theirs = (json.loads((tmp_path / who / name).read_text("utf-8")) for who in ("ours", "theirs"))
        assert ours == theirs
    model = faster_whisper.WhisperModel(
        str(tmp_path / "ours"), device="cpu", compute_type="float32", cpu_threads=1
    )
    path = next(iter(sorted(shared_data.glob("an4/wav/an4test_clstk/*/*.wav"))))
    segments = list(model.transcribe(str(path), word_timestamps=True)[0])
    assert "Rub out" in segments[0].text
    assert segments[0].words


def test_real_model_there_and_back(tmp_path: Path) -> None:
    source = huggingface.read(tiny_whisper.real_folder())
    ctranslate2.write(tmp_path, source)
    found = ctranslate2.read(tmp_path)
    assert_same_weights(source, found)
    assert found.rules == source.rules


@pytest.mark.parametrize("name", ["model.bin", "config.json", "tokenizer.json"])
def test_missing_file(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert f"{name}: is missing" in error_of(folder)


def test_tokenizer_may_be_named(folder: Path, whole: Path) -> None:
    (folder / "tokenizer.json").unlink()
    assert ctranslate2.read(folder, whole).tokenizer == tiny_whisper.source().tokenizer


def test_other_architecture(folder: Path) -> None:
    change(folder, spec="TransformerSpec")
    assert "is a TransformerSpec, no Whisper" in error_of(folder)


@pytest.mark.parametrize(
    ("name", "variable", "said"),
    [
        (CROSS_KEYS, torch.ones(16), "adds a bias to the keys"),
        (
            "decoder/activation",
            torch.tensor(0, dtype=torch.int8),
            "decoder/activation is 0, in Whisper it is 3",
        ),
        ("decoder/new_feature", torch.tensor(1, dtype=torch.int8), "decoder/new_feature is 1"),
        ("encoder/num_heads", torch.tensor(3, dtype=torch.int16), "encoder_heads 3"),
        ("encoder/num_heads", torch.tensor(-1, dtype=torch.int16), "encoder_heads -1"),
        ("encoder/num_heads", torch.tensor(float("nan")), "encoder/num_heads"),
        ("encoder/num_heads", None, "encoder/num_heads is missing, or no whole number"),
        ("encoder/conv1/weight", None, "encoder/conv1/weight is missing"),
        ("encoder/conv1/weight", torch.ones(8, 80), "encoder/conv1/weight has shape (8, 80)"),
        ("encoder/conv1/bias", torch.ones(9), "has shape (9,)"),
        ("encoder/layer_0/self_attention/linear_0/bias", torch.ones(8), "has shape (8,)"),
        ("encoder/layer_7/ffn/linear_0/bias", torch.ones(8), "encoder/layer_2"),
        ("encoder/layer_0/other", torch.ones(8), "encoder/layer_0/other, which Whisper has not"),
        ("decoder/layer_1/attention/layer_norm/beta", None, "layer_norm/beta is missing"),
    ],
)
def test_variables_that_do_not_fit(folder: Path, name: str, variable: torch.Tensor | None, said: str) -> None:
    change(folder, **{name: variable})
    assert said in error_of(folder)


def test_output_layer_of_its_own(folder: Path) -> None:
    content = model_bin.read(folder / "model.bin")
    variables = content.variables | {"decoder/projection/weight": torch.zeros(1908, 8)}
    model_bin.write(folder / "model.bin", replace(content, variables=variables, aliases={}))
    assert "tied" in error_of(folder)


def test_sizes_are_checked_before_memory_is_taken(tmp_path: Path) -> None:
    """A variable of 4 GB, of a negative dimension as uint32, of rank 200, of no numbers, or of an unknown type."""
    start = (
        struct.pack("<IH", 6, 12)
        + b"WhisperSpec\0"
        + struct.pack("<II", 3, 1)
        + struct.pack("<H", 2)
        + b"a\0"
    )
    for rank, shape, kind, size in (
        (1, (2**30,), 0, 2**32 - 4),
        (1, (2**32 - 8,), 1, 2**32 - 8),
        (4, (2**32 - 1,) * 4, 0, 8),
        (200, (), 0, 8),
        (1, (0,), 0, 0),
        (1, (2,), 9, 8),
    ):
        body = struct.pack(f"<B{len(shape)}IBI", rank, *shape, kind, size)
        (tmp_path / "model.bin").write_bytes(start + body + bytes(8))
        assert "damaged" in error_of(tmp_path)


def test_truncated_and_longer_model(folder: Path) -> None:
    path = folder / "model.bin"
    content = path.read_bytes()
    for size in (0, 3, 5, 30, 1000, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:size])
        assert "truncated or damaged" in error_of(folder)
    path.write_bytes(content + b"\0")
    assert "1 bytes after its end" in error_of(folder)
    path.write_bytes(struct.pack("<I", 5) + content[4:])
    assert "its version is 5" in error_of(folder)


def test_aliases_lead_to_variables(folder: Path) -> None:
    content = model_bin.read(folder / "model.bin")
    for aliases in ({"a": "b"}, {CROSS_KEYS: "encoder/conv1/bias"}):
        model_bin.write(folder / "model.bin", replace(content, aliases=aliases))
        assert "its alias" in error_of(folder)
    variables = dict(content.variables)
    same = variables.pop("encoder/conv2/bias")
    aliases = content.aliases | {"encoder/conv2/bias": "encoder/conv1/bias"}
    model_bin.write(folder / "model.bin", replace(content, variables=variables, aliases=aliases))
    found = ctranslate2.read(folder)
    assert not torch.equal(found.weights["model.encoder.conv2.bias"], same)
    assert torch.equal(found.weights["model.encoder.conv2.bias"], variables["encoder/conv1/bias"])


def test_write_refuses_a_source_that_does_not_fit(tmp_path: Path) -> None:
    source: WhisperSource = tiny_whisper.source()
    with pytest.raises(ConfigError, match="has no tokenizer"):
        ctranslate2.write(tmp_path / "a", replace(source, tokenizer=None))
    with pytest.raises(CheckpointError, match="lacks model"):
        ctranslate2.write(tmp_path / "a", replace(source, weights={}))
    with pytest.raises(CheckpointError, match="name the tokenizer of this model"):
        ctranslate2.write(
            tmp_path / "a", replace(source, tokenizer=tiny_whisper.tokenizer_of_vocabulary(51865))
        )
    assert not (tmp_path / "a").exists()


@given(data=st.data())
def test_damaged_bytes_are_a_user_error(whole: Path, data: st.DataObject) -> None:
    """The file is read, or the error is ours."""
    path = whole / data.draw(st.sampled_from(["model.bin", "model.bin", "config.json"]))
    before = path.read_bytes()
    content = bytearray(before)
    for _ in range(data.draw(st.integers(1, 4))):
        last = min(len(content), data.draw(st.sampled_from([600, 2**40]))) - 1  # the head, or anywhere
        content[data.draw(st.integers(0, last))] = data.draw(st.integers(0, 255))
    try:
        path.write_bytes(content[: data.draw(st.sampled_from([len(content), len(content) // 2]))])
        with suppress(CheckpointError):
            ctranslate2.read(whole)
    finally:
        path.write_bytes(before)
