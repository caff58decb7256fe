"""The model file: the way there and back, and every bad file told in one line."""

import errno
import io
import json
import math
import os
import pickle
import resource
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import tiny
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asrattn import checkpoint
from asrattn.checkpoint import Checkpoint
from asrattn.errors import CheckpointError
from asrattn.model.speech_model import SpeechModel
from asrattn.text import BpeTokenizer


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tiny.model_file(tmp_path)


def message(path: Path) -> str:
    """The one line by which a file is refused."""
    with pytest.raises(CheckpointError) as caught:
        checkpoint.load(path)
    text = str(caught.value)
    assert str(path) in text
    assert "\n" not in text
    return text


def rewrite(path: Path, change: Callable[[dict[str, Any], dict[str, torch.Tensor]], None]) -> None:
    """The file again, its JSON and its weights changed, without a checksum, as asrattn 0.2.0 wrote it."""
    with safetensors.safe_open(path, framework="pt") as file:
        plain = json.loads(file.metadata()["asrattn"])
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    del plain["checksum"]
    change(plain, weights)
    safetensors.torch.save_file(weights, path, {"asrattn": json.dumps(plain)})


class TestThereAndBack:
    def test_everything_returns(self, path: Path) -> None:
        saved = checkpoint.load(path)
        before, after = tiny.model().state_dict(), saved.model.state_dict()
        assert before.keys() == after.keys()
        assert all(torch.equal(before[name], after[name]) for name in before)
        assert saved.model.config == tiny.config()
        assert saved.tokenizer == tiny.TOKENIZER
        assert saved.decoding == tiny.DECODING
        assert saved.card == tiny.card()
        assert not saved.model.training

    def test_the_same_model_makes_the_same_bytes(self, tmp_path: Path) -> None:
        (tmp_path / "again").mkdir()
        first, second = tiny.model_file(tmp_path), tiny.model_file(tmp_path / "again")
        assert first.read_bytes() == second.read_bytes()

    def test_what_was_loaded_can_be_saved(self, path: Path, tmp_path: Path) -> None:
        saved = checkpoint.load(path)
        copy = tmp_path / "copy.safetensors"
        checkpoint.save(copy, saved.model, saved.tokenizer, saved.card, saved.decoding)
        assert copy.read_bytes() == path.read_bytes()

    def test_bpe_tokenizer(self, tmp_path: Path) -> None:
        tokenizer = BpeTokenizer.train(["one two three four five six seven"] * 3, 24)
        model = SpeechModel(tiny.config(tokenizer.size))
        checkpoint.save(tmp_path / "bpe", model, tokenizer, {})
        assert checkpoint.load(tmp_path / "bpe").tokenizer.encode("two six") == tokenizer.encode("two six")

    def test_loading_leaves_the_random_numbers_alone(self, path: Path) -> None:
        torch.manual_seed(5)
        expected = torch.rand(3)
        torch.manual_seed(5)
        checkpoint.load(path)
        assert torch.equal(torch.rand(3), expected)

    def test_an_older_file_is_replaced_and_no_draft_stays(self, path: Path) -> None:
        checkpoint.save(path, tiny.model(1), tiny.TOKENIZER, {"name": "newer"})
        assert checkpoint.load(path).card["name"] == "newer"
        assert [p.name for p in path.parent.iterdir()] == [path.name]

    def test_folders_are_made(self, tmp_path: Path) -> None:
        assert checkpoint.load(tiny.model_file(tmp_path / "runs" / "one")).card["name"] == "tiny"


class TestAverage:
    def test_mean_of_the_weights(self, tmp_path: Path) -> None:
        files = [tiny.model_file(tmp_path / str(seed), seed) for seed in range(3)]
        states = [tiny.model(seed).state_dict() for seed in range(3)]
        for name, mean in checkpoint.average(files).model.state_dict().items():
            expected = torch.stack([s[name].double() for s in states]).mean(0)
            torch.testing.assert_close(mean.double(), expected)

    def test_one_file_is_itself(self, path: Path) -> None:
        averaged: Checkpoint = checkpoint.average([path])
        assert torch.equal(averaged.model.ctc.weight, tiny.model().ctc.weight)

    def test_unlike_models(self, path: Path, tmp_path: Path) -> None:
        other = tmp_path / "other"
        characters = tiny.TOKENIZER.characters[::-1]
        checkpoint.save(other, tiny.model(), type(tiny.TOKENIZER)(characters), {})
        with pytest.raises(CheckpointError, match="differs from"):
            checkpoint.average([path, other])

    def test_none(self) -> None:
        with pytest.raises(CheckpointError, match="at least one"):
            checkpoint.average([])


class Bomb:
    """Unpickled, it creates a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.target),))


class TestBadFiles:
    def test_missing(self, tmp_path: Path) -> None:
        assert "does not exist" in message(tmp_path / "absent.safetensors")

    def test_folder(self, tmp_path: Path) -> None:
        assert "name the model.safetensors in it" in message(tmp_path)

    def test_empty(self, path: Path) -> None:
        path.write_bytes(b"")
        assert "is empty" in message(path)

    @pytest.mark.parametrize("bare", [True, False], ids=["bare pickle", "torch.save"])
    def test_pickles_are_never_run(self, tmp_path: Path, bare: bool) -> None:
        target, path = tmp_path / "executed", tmp_path / "last.ckpt"
        if bare:
            path.write_bytes(pickle.dumps(Bomb(target)))
        else:
            torch.save({"state_dict": Bomb(target)}, path)
        text = message(path)
        assert "is a pickle" in text
        assert "execute code" in text
        assert "--resume" in text
        assert not target.exists()

    def test_the_bomb_is_a_real_one(self, tmp_path: Path) -> None:
        pickle.load(io.BytesIO(pickle.dumps(Bomb(tmp_path / "executed"))))
        assert (tmp_path / "executed").exists()

    def test_something_else(self, path: Path) -> None:
        path.write_bytes(b"RIFF....WAVEfmt ....")
        assert "no safetensors file" in message(path)

    def test_every_truncation_is_told(self, path: Path) -> None:
        content = path.read_bytes()
        for size in [1, 7, 8, 9, 100, len(content) // 2, len(content) - 1]:
            path.write_bytes(content[:size])
            message(path)

    def test_truncated_within_the_weights(self, path: Path) -> None:
        path.write_bytes(path.read_bytes()[:-100])
        assert "truncated" in message(path)

    @pytest.mark.parametrize("size", [2**63, 2**40, 99_000_000])
    def test_a_header_that_lies_about_its_size(self, path: Path, size: int) -> None:
        path.write_bytes(struct.pack("<Q", size) + path.read_bytes()[8:])
        assert "truncated or damaged" in message(path)

    def test_a_header_that_lies_about_a_weight(self, path: Path) -> None:
        header = b'{"w":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4000000000000]}}'
        path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(16))
        assert "truncated or damaged" in message(path)

    def test_another_program_s_safetensors(self, path: Path) -> None:
        safetensors.torch.save_file({"w": torch.ones(2)}, path)
        assert "no asrattn model" in message(path)

    @pytest.mark.parametrize("entry", ["{", "[" * 100_000, "[]", "null", ""])
    def test_damaged_json(self, path: Path, entry: str) -> None:
        safetensors.torch.save_file({"w": torch.ones(2)}, path, {"asrattn": entry})
        assert "no JSON" in message(path)

    def test_another_format_version(self, path: Path) -> None:
        rewrite(path, lambda plain, _: plain.update(version=2))
        assert "format version 2, this asrattn reads 1" in message(path)

    def test_a_setting_nobody_knows(self, path: Path) -> None:
        rewrite(path, lambda plain, _: plain["model"]["encoder"].update(dimm=3))
        assert "did you mean dim?" in message(path)

    @pytest.mark.parametrize("name", ["model", "tokenizer", "card", "search"])
    def test_a_part_is_missing(self, path: Path, name: str) -> None:
        rewrite(path, lambda plain, _: plain.pop(name))
        assert f"lacks {name}" in message(path)

    @pytest.mark.parametrize("name", ["model", "tokenizer", "card", "search"])
    @pytest.mark.parametrize("value", [None, 3, "x", []])
    def test_a_part_is_something_else(self, path: Path, name: str, value: object) -> None:
        rewrite(path, lambda plain, _: plain.update({name: value}))
        message(path)

    @pytest.mark.parametrize(
        ("part", "name", "size"),
        [
            ("encoder", "dim", 10**9),
            ("encoder", "dim", 2**63),
            ("encoder", "layers", 10**9),
            ("encoder", "channels", 60_000),
            ("decoder", "embedding", 60_000),
            ("decoder", "layers", 10_000),
            ("frontend", "mels", 10**9),
            ("frontend", "rate", 10**9),
        ],
    )
    def test_a_model_too_large_for_any_machine(self, path: Path, part: str, name: str, size: int) -> None:
        rewrite(path, lambda plain, _: plain["model"][part].update({name: size}))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert "configuration" in message(path)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KB

    @pytest.mark.parametrize("name", ["beam_size", "nbest", "max_length"])
    def test_a_search_without_bounds(self, path: Path, name: str) -> None:
        rewrite(path, lambda plain, _: plain["search"].update({name: 10**9}))
        assert f"{name} is 1000000000" in message(path)

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    def test_a_weight_that_is_no_number(self, path: Path, value: float) -> None:
        rewrite(path, lambda _, weights: weights["ctc.bias"][3:4].fill_(value))
        assert "ctc.bias holds NaN or infinite values" in message(path)

    @pytest.mark.parametrize("value", [0.0, -1.0])
    def test_features_cannot_be_divided_by_nothing(self, path: Path, value: float) -> None:
        rewrite(path, lambda _, weights: weights["frontend.std"][3:4].fill_(value))
        assert "frontend.std must be above 0" in message(path)

    def test_a_weight_of_another_type(self, path: Path) -> None:
        rewrite(path, lambda _, weights: weights.update({"ctc.bias": weights["ctc.bias"].int()}))
        assert "ctc.bias is of type torch.int32 instead of torch.float32" in message(path)

    def test_a_card_800_deep(self, path: Path) -> None:
        rewrite(path, lambda plain, _: plain["card"].update(deep=json.loads("[" * 800 + "]" * 800)))
        assert "nested deeper than 100" in message(path)

    @pytest.mark.parametrize("letters", ["ä" * 8, "AAAA", "!", "\x00"])
    def test_a_bpe_model_of_odd_letters(self, path: Path, letters: str) -> None:
        rewrite(path, lambda plain, _: plain.update(tokenizer={"kind": "bpe", "model": letters}))
        assert "the tokenizer is damaged" in message(path)

    def test_a_tokenizer_that_writes_control_characters(self, path: Path) -> None:
        rewrite(path, lambda plain, _: plain["tokenizer"].update(characters="ab\x1b[c"))
        assert "writes control characters" in message(path)

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.integers(0), st.integers(0, 7))
    def test_a_flipped_bit_is_told(self, path: Path, place: int, bit: int) -> None:
        """Anywhere: in the weights, the configuration, the tokenizer, the card."""
        content = bytearray(path.read_bytes())
        content[place % len(content)] ^= 1 << bit
        damaged = path.with_name("damaged")
        damaged.write_bytes(content)
        message(damaged)

    def test_pipes_and_devices(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        assert "is a pipe or a device" in message(tmp_path / "pipe")
        assert "is a pipe or a device" in message(Path("/dev/zero"))

    def test_a_tokenizer_of_another_size(self, path: Path) -> None:
        rewrite(path, lambda plain, _: plain["tokenizer"].update(characters="abc"))
        assert "tokenizer has 6 tokens" in message(path)

    def test_a_weight_is_missing(self, path: Path) -> None:
        rewrite(path, lambda _, weights: weights.pop("ctc.bias"))
        assert "ctc.bias is missing" in message(path)

    def test_a_weight_too_many(self, path: Path) -> None:
        rewrite(path, lambda _, weights: weights.update(extra=torch.ones(1)))
        assert "extra is not part of the model" in message(path)

    def test_a_weight_of_another_shape(self, path: Path) -> None:
        rewrite(path, lambda _, weights: weights.update({"ctc.bias": torch.ones(1)}))
        assert f"ctc.bias has shape (1,) instead of ({tiny.TOKENIZER.size},)" in message(path)


class TestFullDisk:
    def test_the_older_file_stays(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        before = path.read_bytes()

        def full(descriptor: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(CheckpointError, match=r"No space left on device.*make room"):
            checkpoint.save(path, tiny.model(1), tiny.TOKENIZER, {})
        assert path.read_bytes() == before
        assert [p.name for p in path.parent.iterdir()] == [path.name]

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
    def test_a_device_that_is_full(self, tmp_path: Path) -> None:
        (tmp_path / "model.safetensors.part").symlink_to("/dev/full")
        with pytest.raises(CheckpointError, match="No space left on device"):
            checkpoint.save(tmp_path / "model.safetensors", tiny.model(), tiny.TOKENIZER, {})

    def test_a_folder_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(CheckpointError, match="cannot be written"):
            tiny.model_file(tmp_path / "file")


def test_loading_does_not_load_torch_s_compiler(path: Path) -> None:
    """It takes two CPU-seconds, and torch loads it to draw random numbers for a model without memory."""
    program = (
        "import sys; from asrattn import checkpoint; checkpoint.load(sys.argv[1]); "
        "print('torch._dynamo' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
