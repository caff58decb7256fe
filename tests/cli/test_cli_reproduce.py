"""`asrattn reproduce`: a script from a card, and data held against it."""

import shlex
import subprocess
from pathlib import Path

import pytest
import tiny

from asrattn import checkpoint
from asrattn.cli.main import main
from asrattn.config import to_plain
from asrattn.data import manifest
from asrattn.data.fingerprint import fingerprint_dataset
from asrattn.data.manifest import Utterance
from asrattn.training.recipe import Recipe

TYPED = [
    "asrattn",
    "train",
    "a b.py",
    "--data",
    "data/x",
    "--ou",
    "old",
    "--resume",
    "--set",
    "train.epochs=2",
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """train, dev and test, each of two sounds."""
    for name in ("train", "dev", "test"):
        utterances = [
            Utterance(f"{name}{i}", str(tiny.sound(tmp_path / f"{name}{i}.wav", 1.0, i)), "the fox", 1.0)
            for i in range(2)
        ]
        manifest.write(tmp_path / f"{name}.jsonl", utterances)
    return tmp_path


def model(folder: Path, **card: object) -> Path:
    path = folder / "model.safetensors"
    sets = {name: fingerprint_dataset(manifest.read(folder / f"{name}.jsonl")) for name in ("train", "dev")}
    known = {"name": "tiny", "dev_wer": 12.5, "seed": 3, "commit": "0123456789ab", "data": sets}
    checkpoint.save(path, tiny.model(), tiny.TOKENIZER, known | card, tiny.DECODING)
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, list[str], list[str]]:
    status = main(["reproduce", *map(str, arguments)])
    out, err = capsys.readouterr()
    return status, out.splitlines(), err.splitlines()


def commands(lines: list[str]) -> list[list[str]]:
    return [shlex.split(line, comments=True) for line in lines if shlex.split(line, comments=True)]


def test_what_was_typed_is_repeated_elsewhere(capsys, data: Path) -> None:
    status, out, err = run(capsys, model(data, command=TYPED), "--out", "new dir")
    assert (status, err) == (0, [])
    assert commands(out) == [
        ["git", "checkout", "0123456789ab"],
        [
            "asrattn",
            "train",
            "a b.py",
            "--data",
            "data/x",
            "--set",
            "train.epochs=2",
            "--seed",
            "3",
            "--out",
            "new dir/model",
        ],
        ["asrattn", "describe", "new dir/model/model.safetensors"],
    ]
    assert any("12.5 %" in line for line in out)


def test_a_run_that_was_not_typed_comes_with_its_recipe(capsys, data: Path, tmp_path: Path) -> None:
    recipe = Recipe("mine", tiny.config(0))
    status, out, _ = run(capsys, model(data, recipe=to_plain(recipe)))
    assert status == 0
    begin, end = next(i for i, line in enumerate(out) if line.startswith("cat >")), out.index("END")
    subprocess.run(["bash", "-c", "\n".join(out[begin : end + 1])], cwd=tmp_path, check=True)
    assert Recipe.load(tmp_path / "recipe.py") == recipe
    words = next(words for words in commands(out[end + 1 :]) if words[1] == "train")
    assert words[2:] == ["recipe.py", "--data", "DATA", "--seed", "3", "--out", "again/model"]


def test_an_evaluation_is_repeated_on_the_new_model(capsys, data: Path) -> None:
    old = model(data, command=TYPED)
    out = data / "evaluation"
    assert main(["evaluate", str(old), str(data / "test.jsonl"), "--beam", "2", "--out", str(out)]) == 0
    capsys.readouterr()
    status, lines, _ = run(capsys, out / "test.result.json")
    assert status == 0
    *_, last = commands(lines)
    new = "again/model/model.safetensors"
    assert last == [
        "asrattn",
        "evaluate",
        new,
        str(data / "test.jsonl"),
        "--beam",
        "2",
        "--out",
        "again/evaluation",
    ]
    assert any(line.startswith("# test: utterances 2") for line in lines)


def test_other_data_are_told(capsys, data: Path) -> None:
    path = model(data)
    status, _, err = run(capsys, path, "--data", data)
    assert (status, err) == (0, ["train: the same", "dev: the same"])
    changed = data / "dev.jsonl"
    changed.write_text(changed.read_text().replace("the fox", "the dog"))
    status, out, err = run(capsys, path, "--data", data, changed)
    assert status == 1
    assert out
    assert err[0] == "train: the same"
    assert err[1].startswith("dev: differs: here utterances 2")
    status, _, err = run(capsys, path, "--data", data / "test.jsonl")
    assert (status, err) == (1, ["asrattn: test: the card knows no such set, only train, dev"])


def test_a_card_cannot_smuggle_a_command(capsys, data: Path) -> None:
    """A model file may come from anywhere, and the script is meant to be run."""
    evil = "x\nrm -rf ~; $(rm)"
    card = {"commit": evil, "versions": {"a": evil}, "hardware": evil, "data": {evil: {"fingerprint": evil}}}
    _, out, _ = run(capsys, model(data, **card, dev_wer=evil, command=["asrattn", evil]))
    assert commands(out) == [["asrattn", "describe", "again/model/model.safetensors"]]


@pytest.mark.parametrize(
    "command",
    [
        ["sh", "-c", "rm -rf ~"],
        ["asrattn", "shell"],
        ["asrattn", "train", "a.py", "--data", "d", "--out", "o", "--exec", "rm"],
        ["asrattn", "train", "a.py", "--data", "d", "--out", "o", "--set"],
        ["asrattn", "train", "--help"],
        ["asrattn", "train", "a\x1b[2Kb.py", "--data", "d", "--out", "o"],
        ["asrattn", "evaluate", "m", "d"],
        ["/tmp/asrattn", "train", "a.py", "--data", "d", "--out", "o"],
        ["-f", "train"],
        [["asrattn"], "train"],
    ],
)
def test_only_a_training_is_printed_as_one(capsys, data: Path, command: list[object]) -> None:
    status, out, err = run(capsys, model(data, command=command))
    assert (status, err) == (0, [])
    assert [words[:2] for words in commands(out)] == [["git", "checkout"], ["asrattn", "describe"]]
    assert any("is left out" in line for line in out)
    assert all(line.isprintable() for line in out)


@pytest.mark.parametrize("commit", ["-f", "--help", "HEAD; rm -rf ~", "main", "0123456789AB", "012"])
def test_only_a_commit_is_checked_out(capsys, data: Path, commit: str) -> None:
    _, out, _ = run(capsys, model(data, command=TYPED, commit=commit))
    assert "git" not in [words[0] for words in commands(out)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"data": [1]},
        {"data": {"train": 7}},
        {"command": "asrattn train"},
        {"seed": "$(rm)"},
        {"commit": 5},
        {"recipe": []},
        {"init": "x"},
        {"recipe": {"name": 5}},
    ],
)
def test_a_card_of_other_types(capsys, data: Path, wrong: dict[str, object]) -> None:
    status, _, (err,) = run(capsys, model(data, **wrong))
    assert status == 1
    assert str(data) in err


def test_an_older_model_says_what_is_not_known(capsys, tmp_path: Path) -> None:
    status, out, _ = run(capsys, tiny.model_file(tmp_path))
    assert status == 0
    assert [line for line in out if "not known" in line] == out[:2]


@pytest.mark.parametrize("content", [None, "{", "[]", "{}", '{"card": {"model_card": 1}}'])
def test_what_is_no_result(capsys, tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "a.result.json"
    if content is not None:
        path.write_text(content)
    status, out, (err,) = run(capsys, path)
    assert (status, out) == (1, [])
    assert str(path) in err
