"""Resuming: damaged checkpoints, changed settings, two runs in one folder."""

import json
import logging
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tones
import torch
from hypothesis import given
from hypothesis import strategies as st

from asrattn import checkpoint
from asrattn.data import manifest
from asrattn.errors import AsrattnError, CheckpointError, ConfigError
from asrattn.training import checkpointing, run_folder
from asrattn.training.fit import fit
from asrattn.training.recipe import Recipe


@pytest.fixture(scope="module")
def finished(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two epochs."""
    out = tmp_path_factory.mktemp("finished")
    fit(tones.recipe(epochs=2), corpus, out)
    return out


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    for name in ("last.ckpt", "last.earlier.ckpt", "metrics.csv"):
        (tmp_path / name).write_bytes((finished / name).read_bytes())
    return tmp_path


def is_same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(is_same(one[name], other[name]) for name in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(is_same, one, other))
    return bool(one == other)


def flip(path: Path, place: int, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= 1 << bit
    path.write_bytes(content)


def test_a_flipped_bit_is_told_or_harms_nothing(finished: Path, tmp_path: Path) -> None:
    whole = checkpointing.load(finished / "last.ckpt")
    content = (finished / "last.ckpt").read_bytes()

    @given(st.integers(0, len(content) - 1), st.integers(0, 7))
    def check(place: int, bit: int) -> None:
        path = tmp_path / "last.ckpt"
        path.write_bytes(content)
        flip(path, place, bit)
        try:
            found = checkpointing.load(path)
        except CheckpointError as error:
            assert str(error).startswith(f"{path}: ")  # noqa: PT017
        else:  # between two parts, where nothing stands
            assert is_same(found, whole)

    check()


def test_a_flipped_bit_of_a_weight_makes_the_earlier_checkpoint_count(
    run: Path, caplog: pytest.LogCaptureFixture
) -> None:
    weights = torch.load(run / "last.ckpt", weights_only=True)["state_dict"]
    largest = max(weights.values(), key=lambda w: w.numel()).numpy().tobytes()
    place = (run / "last.ckpt").read_bytes().index(largest)
    flip(run / "last.ckpt", place + random.Random(0).randrange(len(largest)), 3)
    with caplog.at_level(logging.WARNING):
        path, found = checkpointing.load_latest(run)
    assert path == run / "last.earlier.ckpt"
    assert found["epoch"] < 2
    assert "the checksum of " in caplog.text
    assert "which is older" in caplog.text


def test_a_checkpoint_of_another_program(run: Path, corpus: Path) -> None:
    rewrite(run, lambda content: content.pop("asrattn"))
    with pytest.raises(CheckpointError, match=r"last\.ckpt: was not written by asrattn train"):
        fit(tones.recipe(epochs=3), corpus, run, resume=True)


@pytest.mark.parametrize("part", ["loops", "optimizer_states", "state_dict", "callbacks"])
def test_a_checkpoint_without_a_part(run: Path, corpus: Path, part: str) -> None:
    rewrite(run, lambda content: content.pop(part))
    with pytest.raises(CheckpointError, match=rf"last\.ckpt: is not a checkpoint of a run; it lacks {part}"):
        fit(tones.recipe(epochs=3), corpus, run, resume=True)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("asrattn", "[]"),
        ("asrattn", '{"recipe": {"model": [], "train": {}}, "tokenizer": {}}'),
        ("asrattn", 5),
        ("state_dict", {}),
        ("state_dict", {"model.ctc.weight": torch.ones(3)}),
        ("optimizer_states", []),
        ("optimizer_states", [{"state": 3}]),
        ("loops", {}),
        ("epoch_so_far", "{}"),
        ("epoch_so_far", "5"),
        ("callbacks", {"BestCheckpoint": {"progress": "[]"}}),
    ],
)
def test_a_checkpoint_with_something_else(run: Path, corpus: Path, part: str, value: object) -> None:
    rewrite(run, lambda content: content.update({part: value}))
    with pytest.raises(AsrattnError) as caught:
        fit(tones.recipe(epochs=3), corpus, run, resume=True)
    assert str(caught.value).startswith(f"{run / 'last.ckpt'}: ")
    assert "\n" not in str(caught.value)


def rewrite(run: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = checkpointing.load(run / "last.ckpt")
    change(content)
    torch.save(content, run / "last.ckpt")
    (run / "last.earlier.ckpt").unlink()


def test_another_seed_is_refused(run: Path, corpus: Path) -> None:
    with pytest.raises(ConfigError, match="belongs to a run with another seed; resume it with --seed 0"):
        fit(tones.recipe(epochs=3), corpus, run, resume=True, seed=1)


CHANGES: dict[str, Callable[[Recipe], Recipe]] = {
    "data.batch_seconds=8.0 (it was": lambda r: replace(r, data=replace(r.data, batch_seconds=8.0)),
    "loss.label_smoothing=0.3 (it was": lambda r: replace(r, loss=replace(r.loss, label_smoothing=0.3)),
    "train.ema=0.5 (it was": lambda r: replace(r, train=replace(r.train, ema=0.5)),
    "augment.noise=0.25 (it was": lambda r: replace(r, augment=replace(r.augment, noise=0.25)),
}


def test_other_settings_are_told_and_stand_in_the_card(
    run: Path, corpus: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recipe = tones.recipe(epochs=3)
    for change in CHANGES.values():
        recipe = change(recipe)
    with caplog.at_level(logging.WARNING):
        path = fit(recipe, corpus, run, resume=True, precision="bf16")
    told = [*CHANGES, "train.precision=bf16 (it was", "train.epochs=3 (it was 2)"]
    assert all(words in caplog.text for words in told)
    assert "may come twice" not in caplog.text  # it was resumed at the end of an epoch
    kept = json.loads(checkpointing.load(run / "last.ckpt")["asrattn"])["changes"]
    assert len(kept) == len(told)
    assert checkpoint.load(path).card.get("changed_on_resume", kept) == kept


def test_other_data_are_told(
    run: Path, corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = tmp_path / "data"
    for name in ("train", "dev"):
        utterances = manifest.read(corpus / f"{name}.jsonl")
        manifest.write(data / f"{name}.jsonl", utterances[: len(utterances) - (name == "train")])
    with caplog.at_level(logging.WARNING):
        fit(tones.recipe(epochs=2), data, run, resume=True)
    assert "resumed with other data in train; the result is not that of a run with one command" in caplog.text


def test_nothing_is_told_of_settings_without_effect(
    run: Path, corpus: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recipe = tones.recipe(epochs=2)
    with caplog.at_level(logging.WARNING):
        fit(replace(recipe, train=replace(recipe.train, samples=1)), corpus, run, resume=True)
    assert "resumed with" not in caplog.text


HOLDER = """
import sys
from pathlib import Path
from asrattn.training import run_folder
with run_folder.locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("death", ["kill", "end"])
def test_a_folder_belongs_to_one_run(tmp_path: Path, death: str) -> None:
    words = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(
            ConfigError, match=rf"another run trains in this folder \(process {holder.pid} on "
        ):
            run_folder.prepare_out_dir(tmp_path, resume=False)
        if death == "kill":
            holder.kill()
        else:
            holder.stdin.close()
        holder.wait()
    run_folder.prepare_out_dir(tmp_path, resume=False)  # a lock of a dead process is none


def test_a_second_process_of_a_run_is_no_second_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with run_folder.locked(tmp_path):
        monkeypatch.setenv("LOCAL_RANK", "1")
        run_folder.prepare_out_dir(tmp_path, resume=False)
    assert [path.name for path in tmp_path.iterdir()] == ["run.lock"]
