"""Formats are recognised by what a folder or file holds; all else is one line that says what was found."""

from pathlib import Path

import pytest
import tiny_whisper
import torch
from safetensors.torch import save_file
from tiny_whisper import assert_same_weights

from asrattn.convert import ctranslate2, huggingface, openai
from asrattn.convert.formats import read_any
from asrattn.errors import AsrattnError


def test_all_formats_are_recognised(tmp_path: Path) -> None:
    """Under any name, and with a tokenizer from elsewhere."""
    source = tiny_whisper.source()
    huggingface.write(tmp_path / "a", source)
    ctranslate2.write(tmp_path / "b", source)
    openai.write(tmp_path / "c", source)
    for name in "abc":
        assert_same_weights(source, read_any(str(tmp_path / name), tmp_path / "a" / "tokenizer.json"))
    for name in "ab":
        assert read_any(str(tmp_path / name)).tokenizer == source.tokenizer
    assert read_any(str(tmp_path / "a")).origin == "a"


def error_of(path: Path | str) -> str:
    with pytest.raises(AsrattnError) as caught:
        read_any(str(path))
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_other_things_are_named(tmp_path: Path) -> None:
    assert "holds nothing, but no config.json" in error_of(tmp_path)
    for name in "abcd":
        (tmp_path / f"{name}.txt").write_text("text", "utf-8")
    assert "holds a.txt, b.txt, c.txt and 1 more" in error_of(tmp_path)
    assert "a file of an unknown kind (.txt)" in error_of(tmp_path / "a.txt")
    (tmp_path / "empty").touch()
    assert "an empty file" in error_of(tmp_path / "empty")
    save_file({"a": torch.zeros(1)}, tmp_path / "model.safetensors")
    assert f"its folder is {tmp_path}" in error_of(tmp_path / "model.safetensors")
    assert "does not exist" in error_of(tmp_path / "none")
    assert "cannot be read" in error_of("x" * 5000)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}', "utf-8")
    assert "model type 'bert'" in error_of(tmp_path)
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pt")
    assert "holds no tokenizer" in error_of(tmp_path / "other.pt")


def test_adapter_is_named(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}", "utf-8")
    assert "LoRA adapter" in error_of(tmp_path)
