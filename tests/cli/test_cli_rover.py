"""`asrattn rover`: with a manifest result lines, without one texts."""

import json
from pathlib import Path

import pytest

from asrattn.cli.main import main
from asrattn.data import manifest
from asrattn.data.manifest import Utterance
from asrattn.metrics import hypothesis_file
from asrattn.metrics.hypothesis_file import HypothesisLine

SAID = "go to the end"
HEARD = {"a": "go to an end", "b": "go two the end", "c": "no to the end"}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    manifest.write(
        tmp_path / "test.jsonl", [Utterance(f"u{i}", "x.wav", SAID, 1.0, f"s{i}") for i in range(12)]
    )
    for name, text in HEARD.items():
        hypothesis_file.write(
            tmp_path / f"{name}.jsonl",
            [HypothesisLine(f"u{i}", text, confidence=(0.9 if name == "a" else 0.1,)) for i in range(12)],
        )
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, list[str], list[str]]:
    status = main(["rover", *map(str, arguments)])
    out, err = capsys.readouterr()
    return status, out.splitlines(), err.splitlines()


def test_with_a_manifest_the_result_and_how_it_compares(capsys, data: Path) -> None:
    files = [data / f"{name}.jsonl" for name in "abc"]
    status, out, _ = run(capsys, data / "test.jsonl", *files, "--out", data / "rover.jsonl")
    assert status == 0
    assert [line.split("   ")[0] for line in out] == ["a", "b", "c", "rover", "rover against a"]
    assert "WER 25.0 % [" in out[0]
    assert "WER 0.0 % [0.0, " in out[3]
    assert out[4].endswith("   better")
    assert hypothesis_file.read(data / "rover.jsonl")[0] == HypothesisLine("u0", SAID)


def test_without_one_the_texts(capsys, data: Path) -> None:
    (data / "c.jsonl").write_text((data / "c.jsonl").read_text().split("\n", 1)[1])
    _, out, err = run(capsys, *(data / f"{name}.jsonl" for name in "abc"))
    assert [json.loads(line)["text"] for line in out[:2]] == ["go to an end", SAID]  # of two in u0 the first
    assert "c.jsonl: 1 utterances missing" in err[0]


def test_by_confidence(capsys, data: Path) -> None:
    files = [data / f"{name}.jsonl" for name in "bca"]
    _, out, _ = run(capsys, *files, "--method", "confidence", "--votes", "0.2")
    assert json.loads(out[0])["text"] == HEARD["a"]
    hypothesis_file.write(data / "b.jsonl", [HypothesisLine("u0", SAID)])
    status, _, err = run(capsys, *files, "--method", "confidence")
    assert status == 1
    assert "u0: a hypothesis has no confidence" in err[-1]


def test_one_system_is_no_combination(capsys, data: Path) -> None:
    status, out, err = run(capsys, data / "test.jsonl", data / "a.jsonl")
    assert (status, out) == (1, [])
    assert "two systems or more" in err[0]


def test_utterances_of_another_set_are_told(capsys, data: Path) -> None:
    hypothesis_file.write(data / "b.jsonl", [HypothesisLine("other", SAID)])
    status, _, err = run(capsys, data / "test.jsonl", data / "a.jsonl", data / "b.jsonl")
    assert status == 1
    assert "1 utterances (other, …) are not in" in err[0]
