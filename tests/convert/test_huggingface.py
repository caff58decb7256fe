"""Folders of Hugging Face: what is read was written, transformers loads it, and bad folders say so in a line."""

import json
import os
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import tiny_whisper
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from tiny_whisper import assert_same_weights

from asrattn.convert import huggingface, tokenizer_json
from asrattn.convert.source import WhisperRules
from asrattn.errors import AsrattnError, CheckpointError, ConfigError


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that is all right."""
    folder = tmp_path_factory.mktemp("models") / "whole"
    huggingface.write(folder, tiny_whisper.source())
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(whole, tmp_path / "model"))


def edit(path: Path, **changes: object) -> None:
    """Of a JSON object; None takes an entry away."""
    plain = json.loads(path.read_text("utf-8")) | changes
    path.write_text(json.dumps({k: v for k, v in plain.items() if v is not None}), "utf-8")


def error_of(folder: Path) -> str:
    with pytest.raises(AsrattnError) as caught:
        huggingface.read(folder)
    message = str(caught.value)
    assert str(folder) in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize("size", tiny_whisper.SIZES)
def test_written_folder_is_read_as_it_was(size: str, tmp_path: Path) -> None:
    source = tiny_whisper.source(tiny_whisper.SIZES[size])
    huggingface.write(tmp_path / "model", source)
    found = huggingface.read(tmp_path / "model")
    assert_same_weights(source, found)
    assert found == replace(source, weights=found.weights, origin="model")


def test_configuration_of_a_multilingual_model(tmp_path: Path) -> None:
    huggingface.write(tmp_path, tiny_whisper.source(tiny_whisper.SIZES["large-v3"]))
    plain = json.loads((tmp_path / "generation_config.json").read_text("utf-8"))
    assert plain["is_multilingual"]
    assert plain["lang_to_id"]["<|en|>"] == 50259
    assert len(plain["lang_to_id"]) == 100
    assert plain["task_to_id"] == {"transcribe": 50360, "translate": 50359}
    assert plain["no_timestamps_token_id"] == 50364
    assert json.loads((tmp_path / "preprocessor_config.json").read_text("utf-8"))["feature_size"] == 128


def test_weights_that_share_memory_are_written(tmp_path: Path) -> None:
    source = tiny_whisper.source()
    name, other = "model.encoder.conv1.bias", "model.encoder.conv2.bias"
    both = torch.randn(2, source.dims.dim).half()
    shared = replace(source, weights=source.weights | {name: both[0], other: both[1]})
    huggingface.write(tmp_path, shared)
    assert_same_weights(shared, huggingface.read(tmp_path))


@pytest.mark.slow
def test_transformers_loads_what_is_written(tmp_path: Path) -> None:
    """The logits and the token ids are those of the model and tokenizer that transformers itself saved."""
    transformers = pytest.importorskip("transformers")
    dims = tiny_whisper.SIZES["tiny"]
    sizes = {theirs: getattr(dims, ours) for ours, theirs in huggingface.SIZES.items()}
    torch.manual_seed(1)
    model = transformers.WhisperForConditionalGeneration(transformers.WhisperConfig(**sizes)).half().eval()
    model.save_pretrained(tmp_path / "theirs")
    (tmp_path / "theirs" / "tokenizer.json").write_text(tiny_whisper.tokenizer_of_vocabulary(51865), "utf-8")
    huggingface.write(tmp_path / "ours", huggingface.read(tmp_path / "theirs"))
    again, report = transformers.WhisperForConditionalGeneration.from_pretrained(
        tmp_path / "ours", output_loading_info=True
    )
    assert not any(report.values())
    assert again.dtype == torch.float16
    processor = transformers.WhisperProcessor.from_pretrained(tmp_path / "ours")
    features = processor(torch.randn(16000).numpy(), sampling_rate=16000, return_tensors="pt").input_features
    tokens = torch.tensor([[50258, 50259, 50359, 5]])
    with torch.no_grad():
        logits = [m.float()(features, decoder_input_ids=tokens).logits for m in (model, again)]
    assert torch.equal(*logits)
    text = " he said: <|en|> naïve"
    expected = tokenizer_json.load(tiny_whisper.tokenizer_of_vocabulary(51865), "test").encode(text).ids
    loaded = transformers.AutoTokenizer.from_pretrained(tmp_path / "ours")
    for tokenizer in (loaded, processor.tokenizer):
        assert tokenizer.encode(text, add_special_tokens=False) == expected
        assert tokenizer.decode(expected) == text


def test_real_model_survives_the_way_through(tmp_path: Path) -> None:
    source = huggingface.read(tiny_whisper.real_folder())
    assert source.origin == "whisper-tiny.en"
    assert source.licence == "MIT License"
    assert len(source.rules.alignment_heads) == 8
    huggingface.write(tmp_path, source)
    assert_same_weights(source, huggingface.read(tmp_path))
    stored = load_file(tiny_whisper.real_folder() / "model.safetensors")
    stored.pop("proj_out.weight", None)
    assert stored.keys() == source.weights.keys()
    assert all(torch.equal(stored[name], weight) for name, weight in source.weights.items())


def test_default_rules_are_those_of_the_real_model() -> None:
    source = huggingface.read(tiny_whisper.real_folder())
    assert source.tokenizer is not None
    rules = tokenizer_json.default_rules(source.tokenizer, "test")
    assert rules == replace(source.rules, alignment_heads=())


def test_sharded_and_old_weights_are_read(whole: Path, folder: Path) -> None:
    """Shards with an index, a .bin of PyTorch, a tied output layer, names without `model.`: all the same model."""
    weights = load_file(folder / "model.safetensors")
    expected = huggingface.read(whole)
    (folder / "model.safetensors").unlink()
    torch.save(
        weights | {"proj_out.weight": weights["model.decoder.embed_tokens.weight"]},
        folder / "pytorch_model.bin",
    )
    assert_same_weights(huggingface.read(folder), expected)
    torch.save({name.removeprefix("model."): w for name, w in weights.items()}, folder / "pytorch_model.bin")
    assert_same_weights(huggingface.read(folder), expected)
    names = sorted(weights)
    shards = {"model-00001-of-00002.safetensors": names[:9], "model-00002-of-00002.safetensors": names[9:]}
    for file, part in shards.items():
        save_file({name: weights[name] for name in part}, folder / file)
    places = {name: file for file, part in shards.items() for name in part}
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": places}), "utf-8")
    assert_same_weights(huggingface.read(folder), expected)
    index.write_text(
        json.dumps({"weight_map": places | {"extra": "model-00001-of-00002.safetensors"}}), "utf-8"
    )
    assert "holds other weights" in error_of(folder)
    index.write_text(json.dumps({"weight_map": {"x": "../model.safetensors"}}), "utf-8")
    assert "weight_map" in error_of(folder)


@pytest.mark.parametrize("added", ["added_tokens.json", "tokenizer_config.json"])
def test_tokenizer_of_older_models_is_converted(folder: Path, added: str) -> None:
    """vocab.json and merges.txt write the same tokens as the tokenizer.json did."""
    plain = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.json").write_text(json.dumps(plain["model"]["vocab"]), "utf-8")
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *plain["model"]["merges"], ""]), "utf-8")
    tokens: dict[str, object] = {token["content"]: token["id"] for token in plain["added_tokens"]}
    if added == "tokenizer_config.json":
        tokens = {"added_tokens_decoder": {str(t["id"]): t for t in plain["added_tokens"]}}
    (folder / added).write_text(json.dumps(tokens), "utf-8")
    source = huggingface.read(folder)
    assert source.tokenizer is not None
    ours, theirs = (tokenizer_json.load(text, "test") for text in (source.tokenizer, json.dumps(plain)))
    text = "<|startoftranscript|><|en|> he a, naïve 水"
    assert ours.encode(text).ids == theirs.encode(text).ids
    (folder / "merges.txt").unlink()
    assert "merges.txt: is missing" in error_of(folder)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_missing_file(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert name in error_of(folder)


@pytest.mark.parametrize("name", ["generation_config.json", "preprocessor_config.json"])
def test_file_that_may_be_missing(folder: Path, name: str) -> None:
    before = huggingface.read(folder).rules
    (folder / name).unlink()
    assert huggingface.read(folder).rules == (WhisperRules() if "generation" in name else before)


@pytest.mark.parametrize(
    "name", ["config.json", "generation_config.json", "tokenizer.json", "preprocessor_config.json"]
)
@pytest.mark.parametrize(
    "content", [b"", b"{", b"[1]", b"\xff\xfe", b"[" * 100_000, b'{"a": ' * 100_000, b'"text"', b"1" * 5000]
)
def test_json_that_is_none(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    assert name in error_of(folder)


@pytest.mark.parametrize("kind", ["bert", "llama", None, 3])
def test_other_architecture(folder: Path, kind: object) -> None:
    edit(folder / "config.json", model_type=kind)
    assert f"model type '{kind}'" in error_of(folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"d_model": -8}, "d_model is -8"),
        ({"d_model": 2**40}, "d_model is 1099511627776"),
        ({"d_model": 8.0}, "d_model is 8.0"),
        ({"d_model": True}, "d_model is True"),
        ({"d_model": None}, "d_model is missing"),
        ({"encoder_layers": 10**9}, "encoder_layers is 1000000000"),
        ({"d_model": 2**19, "vocab_size": 2**19}, "a weight of"),
        ({"encoder_attention_heads": 3}, "encoder_heads 3"),
        ({"encoder_layers": 1}, "model.encoder.layers.1"),
        ({"decoder_layers": 3}, "lacks model.decoder.layers.2"),
        ({"vocab_size": 2000}, "shape"),
        ({"activation_function": "relu"}, "activation_function"),
        ({"tie_word_embeddings": False}, "tie_word_embeddings"),
    ],
)
def test_sizes_that_do_not_fit(folder: Path, change: dict[str, object], said: str) -> None:
    edit(folder / "config.json", **change)
    assert said in error_of(folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"suppress_tokens": [10**6]}, "token 1000000"),
        ({"suppress_tokens": ["a"]}, "token a"),
        ({"begin_suppress_tokens": 3}, "no list"),
        ({"alignment_heads": [[1]]}, "no pairs"),
        ({"alignment_heads": [[0, -1]]}, "no pairs"),
    ],
)
def test_rules_that_do_not_fit(folder: Path, change: dict[str, object], said: str) -> None:
    edit(folder / "generation_config.json", **change)
    assert said in error_of(folder)


def test_heads_of_a_teacher_are_left_out_and_reported(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    edit(folder / "generation_config.json", alignment_heads=[[1, 1], [7, 0]])
    assert huggingface.read(folder).rules.alignment_heads == ((1, 1),)
    assert "1 of 2 alignment heads" in caplog.text


def test_features_of_another_model(folder: Path) -> None:
    edit(folder / "preprocessor_config.json", feature_size=128)
    assert "feature_size is 128, the model needs 80" in error_of(folder)


def change_tokenizer(folder: Path, change: Callable[[dict[str, dict[str, object]]], object]) -> None:
    plain = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    change(plain)
    (folder / "tokenizer.json").write_text(json.dumps(plain), "utf-8")


def test_tokenizer_that_does_not_fit(folder: Path) -> None:
    change_tokenizer(folder, lambda plain: plain["model"]["vocab"].update(word=5000))  # type: ignore[attr-defined]
    assert "token id 5000, the model's vocabulary has 1908" in error_of(folder)
    change_tokenizer(folder, lambda plain: plain.update(added_tokens=[]))  # type: ignore[arg-type]
    assert "<|startoftranscript|>" in error_of(folder)
    change_tokenizer(folder, lambda plain: plain["model"].update(type="Unigram"))
    assert "byte-level BPE" in error_of(folder)


def test_tokenizer_that_the_library_refuses(folder: Path) -> None:
    change_tokenizer(folder, lambda plain: plain["model"].update(merges=["no such"]))
    assert "is no tokenizer" in error_of(folder)


def test_weights_that_do_not_fit(folder: Path) -> None:
    path = folder / "model.safetensors"
    weights = load_file(path)
    bias = "model.encoder.conv1.bias"
    save_file({name: w for name, w in weights.items() if name != bias}, path)
    assert f"lacks {bias}" in error_of(folder)
    save_file(weights | {"model.encoder.layers.0.self_attn.k_proj.bias": torch.zeros(8)}, path)
    assert "k_proj.bias, which Whisper has not" in error_of(folder)
    save_file(weights | {bias: torch.zeros(9)}, path)
    assert "has shape (9,)" in error_of(folder)
    save_file(weights | {bias: torch.zeros(8, dtype=torch.int8)}, path)
    assert "is int8" in error_of(folder)
    save_file(weights | {"proj_out.weight": torch.zeros(1908, 8)}, path)
    assert "tied" in error_of(folder)


def test_truncated_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    content = path.read_bytes()
    for size in (0, 5, 100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:size])
        assert "model.safetensors" in error_of(folder)


class Evil:
    """Runs a command where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.mark),)


def test_pickle_with_code_is_not_run(folder: Path, tmp_path: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({"model.encoder.conv1.bias": Evil(tmp_path / "mark")}, folder / "pytorch_model.bin")
    assert "holds code" in error_of(folder)
    assert not (tmp_path / "mark").exists()
    content = (folder / "pytorch_model.bin").read_bytes()
    (folder / "pytorch_model.bin").write_bytes(content[:-30])
    assert "truncated" in error_of(folder)


def test_adapter_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}", "utf-8")
    assert "LoRA adapter" in error_of(tmp_path)


def test_licence_is_that_of_the_card(folder: Path) -> None:
    assert huggingface.read(folder).licence == "mit"
    (folder / "README.md").write_text("---\ntags: [a]\nlicense: 'apache-2.0'\n---\nText\n", "utf-8")
    assert huggingface.read(folder).licence == "apache-2.0"
    (folder / "README.md").write_text("No front matter\nlicense: mit\n", "utf-8")
    assert huggingface.read(folder).licence == ""


def test_write_refuses_a_source_without_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no tokenizer"):
        huggingface.write(tmp_path / "model", replace(tiny_whisper.source(), tokenizer=None))
    assert not (tmp_path / "model").exists()


def test_resolve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert huggingface.resolve(str(tmp_path)) == tmp_path
    with pytest.raises(ConfigError, match="does not exist"):
        huggingface.resolve(str(tmp_path / "none"))
    with pytest.raises(ConfigError, match="OWNER/NAME"):
        huggingface.resolve("whisper-tiny")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ConfigError, match=r"pip install asrattn\[hf\]"):
        huggingface.resolve("nobody/none")


def test_resolve_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is in the cache is found offline, and is the origin; old weights are asked for only if needed."""
    hub = pytest.importorskip("huggingface_hub")
    errors = pytest.importorskip("huggingface_hub.errors")
    folder = tmp_path / "models--somebody--whisper-x" / "snapshots" / "abc"
    huggingface.write(folder, tiny_whisper.source())
    asked = []

    def download(name: str, allow_patterns: list[str]) -> str:
        asked.append(allow_patterns)
        if name != "somebody/whisper-x":
            raise errors.LocalEntryNotFoundError("offline")
        return str(folder)

    monkeypatch.setattr(hub, "snapshot_download", download)
    assert huggingface.read(huggingface.resolve("somebody/whisper-x")).origin == "somebody/whisper-x"
    assert len(asked) == 1
    (folder / "model.safetensors").unlink()
    huggingface.resolve("somebody/whisper-x")
    assert "pytorch_model.bin" in asked[-1]
    with pytest.raises(ConfigError, match="the hub cannot be reached"):
        huggingface.resolve("somebody/none")


STRANGE = [
    None,
    True,
    -1,
    2**70,
    1.5,
    float("nan"),
    "",
    "\ud800",
    [],
    [[]],
    [None],
    [["a", "b"]],
    {},
    {"a": 1},
    {"a": {}},
]


@given(data=st.data())
def test_damaged_json_is_a_user_error(whole: Path, data: st.DataObject) -> None:
    """One entry of one file becomes something else, or bytes change: the model is read, or the error is ours."""
    name = data.draw(
        st.sampled_from(
            ["config.json", "generation_config.json", "preprocessor_config.json", "tokenizer.json"]
        )
    )
    path = whole / name
    before = path.read_bytes()
    try:
        if data.draw(st.booleans()):
            plain = json.loads(before)
            inner = plain["model"] if name == "tokenizer.json" and data.draw(st.booleans()) else plain
            inner[data.draw(st.sampled_from(sorted(inner)))] = data.draw(st.sampled_from(STRANGE))
            path.write_text(json.dumps(plain), "utf-8")
        else:
            changed = bytearray(before)
            for _ in range(data.draw(st.integers(1, 3))):
                changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
            path.write_bytes(changed)
        with suppress(CheckpointError):
            huggingface.read(whole)
    finally:
        path.write_bytes(before)
