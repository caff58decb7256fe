"""`asrattn align`: known texts with times."""

import json
from pathlib import Path

import pytest
import tiny

from asrattn.cli.main import main
from asrattn.data import manifest
from asrattn.data.manifest import Utterance


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.model_file(tmp_path_factory.mktemp("model"))


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Four utterances: a whole file, a part of it, one with a text that is too long, one with a strange letter."""
    sound = tiny.sound(tmp_path / "a.wav", 3.0)
    utterances = [
        Utterance("one", str(sound), "the dog", 3.0),
        Utterance("s/two", str(sound), "lazy fox", 1.5, start=1.0),
        Utterance("odd", str(sound), "ß", 3.0),
        Utterance("three", str(sound), "fox", 3.0),
    ]
    manifest.write(tmp_path / "all.jsonl", utterances)
    return tmp_path / "all.jsonl"


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, list[str], list[str]]:
    status = main(["align", *map(str, arguments)])
    out, err = capsys.readouterr()
    return status, out.splitlines(), err.splitlines()


def test_each_text_has_its_words_with_times(capsys, model: Path, corpus: Path) -> None:
    status, out, err = run(capsys, model, corpus)
    found = [json.loads(line) for line in out]
    assert [line["id"] for line in found] == ["one", "s/two", "three"]
    assert [[w["word"] for w in line["words"]] for line in found] == [
        ["the", "dog"],
        ["lazy", "fox"],
        ["fox"],
    ]
    assert all(0 <= w["start"] <= w["end"] <= line["seconds"] for line in found for w in line["words"])
    assert found[1]["seconds"] == pytest.approx(1.5)
    assert status == 1
    assert err[0].startswith("asrattn: odd: unknown characters 'ß'")
    assert err[-1] == "asrattn: 1 of 4 could not be aligned"


def test_files_in_several_formats(capsys, model: Path, corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    status, said, _ = run(capsys, model, corpus, "--out", out, "--format", "TextGrid,ctm", "--shard", "1/4")
    assert (status, said) == (0, [])
    assert sorted(p.name for p in out.iterdir()) == ["one.TextGrid", "one.ctm"]
    assert len((out / "one.ctm").read_text().splitlines()) == 2


def test_attention_is_asked_too(capsys, model: Path, corpus: Path) -> None:
    ctc, attention = (run(capsys, model, corpus, "--by", by)[1] for by in ("ctc", "attention"))
    assert ctc != attention
    assert [json.loads(line)["text"] for line in ctc] == [json.loads(line)["text"] for line in attention]


def test_what_cannot_go_to_stdout(capsys, model: Path, corpus: Path) -> None:
    for form in ("srt", "json,ctm"):
        status, out, (line,) = run(capsys, model, corpus, "--format", form)
        assert (status, out) == (1, [])
        assert "--out DIR" in line
    with pytest.raises(SystemExit):
        run(capsys, model, corpus, "--format", "doc")
    assert "'doc' is not among txt, json" in capsys.readouterr().err
