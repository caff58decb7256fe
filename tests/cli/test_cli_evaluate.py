"""`asrattn evaluate`: the result line, the files, and audio that is not there."""

import json
import re
from pathlib import Path

import pytest
import tiny

from asrattn.cli import error_rates
from asrattn.cli.main import main
from asrattn.config import to_plain
from asrattn.data import manifest
from asrattn.data.fingerprint import fingerprint_dataset
from asrattn.data.manifest import Utterance
from asrattn.inference.recognizer import Recognizer
from asrattn.inference.transcript import Transcript
from asrattn.metrics import NORMALIZERS

LINE = re.compile(
    r"(\S+|\S+ \(\w+\))   (\d+) utterances   (\d+) words   WER (\d+\.\d) % \[\S+, \S+\]"
    r"   CER \d+\.\d % \[\S+, \S+\]   SER \d+\.\d % \[\S+, \S+\]"
    r"(   [SDI] \d+\.\d % \[\S+, \S+\]){3}   text \S+   RTF \d+\.\d{3}"
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.model_file(tmp_path_factory.mktemp("model"))


@pytest.fixture
def data(tmp_path: Path, model: Path) -> Path:
    """Two sets: of test.jsonl the model hears all right but the last two, of which one is in capitals."""
    sounds = [tiny.sound(tmp_path / f"{i}.wav", 1.0 + 0.2 * i, seed=i) for i in range(5)]
    heard = [t.text for t in Recognizer.load(model, "cpu").transcribe(sounds) if isinstance(t, Transcript)]
    texts = [*heard[:3], heard[3].upper(), "something else"]
    utterances = [
        Utterance(f"u{i}", str(path), text, 1.0, f"speaker{i % 2}")
        for i, (path, text) in enumerate(zip(sounds, texts, strict=True))
    ]
    manifest.write(tmp_path / "test.jsonl", utterances)
    manifest.write(tmp_path / "dev.jsonl", utterances[:3])
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, list[str], list[str]]:
    status = main(["evaluate", *map(str, arguments)])
    out, err = capsys.readouterr()
    return status, out.splitlines(), err.splitlines()


def test_a_line_for_each_set(capsys, model: Path, data: Path) -> None:
    status, out, err = run(capsys, model, data / "test.jsonl", data / "dev.jsonl")
    assert status == 0
    test, dev = (LINE.fullmatch(line) for line in out)
    assert test is not None, out
    assert dev is not None, out
    assert test.group(1, 2) == ("test", "5")
    assert dev.group(1, 2, 4) == ("dev", "3", "0.0")
    assert float(test[4]) > 0
    assert all("CPU-seconds" in line for line in err)


def test_parts_and_keywords(capsys, model: Path, data: Path) -> None:
    (data / "words.txt").write_text("something else\n")
    _, out, _ = run(capsys, model, data / "test.jsonl", "--by", "speaker", "--keywords", data / "words.txt")
    assert sorted(line.split("   ")[0] for line in out[1:3]) == ["test/speaker0", "test/speaker1"]
    assert out[3].startswith("test keywords   1 occurrences   recall 0.0 % [0.0, ")


def test_normalised_beside_the_raw_one(capsys, model: Path, data: Path) -> None:
    _, out, _ = run(capsys, model, data / "test.jsonl", "--normalize", "lower")
    raw, lower = (LINE.fullmatch(line) for line in out)
    assert raw is not None, out
    assert lower is not None, out
    assert lower[1] == "test (lower)"
    assert float(lower[4]) < float(raw[4])


def test_the_choices_are_the_normalisers() -> None:
    assert {"none", *error_rates.NORMALIZER_NAMES} == NORMALIZERS.keys()


def test_hypotheses_and_report(capsys, model: Path, data: Path) -> None:
    out = data / "out"
    status, _, _ = run(capsys, model, data / "test.jsonl", data / "dev.jsonl", "--out", out)
    assert status == 0
    assert sorted(p.name for p in out.iterdir()) == [
        "dev.hypotheses.jsonl",
        "dev.result.json",
        "report.html",
        "test.hypotheses.jsonl",
        "test.result.json",
    ]
    lines = [json.loads(line) for line in (out / "test.hypotheses.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines] == ["u0", "u1", "u2", "u3", "u4"]
    page = (out / "report.html").read_text()
    assert "test/u4" in page
    assert (
        page.count("data:image/png;base64") == page.count("data:audio/flac;base64") == page.count("<article")
    )
    for heading in ("Against length and noise", "Slices", "Evaluation of test", "Evaluation of dev", "Model"):
        assert f">{heading}</h2>" in page
    assert "tiny" in page


def test_a_result_is_the_same_on_disk_and_on_stdout(capsys, model: Path, data: Path) -> None:
    (data / "0.wav").unlink()
    out = data / "out"
    status, lines, _ = run(
        capsys, model, data / "test.jsonl", data / "dev.jsonl", "--out", out, "--json", "--normalize", "lower"
    )
    assert status == 1
    test, dev = map(json.loads, lines)
    assert json.loads((out / "test.result.json").read_text()) == test
    assert (test["set"], test["failed"], dev["failed"]) == ("test", ["u0"], ["u0"])
    raw, lower = test["results"]
    assert raw["normalizer"] == NORMALIZERS["none"].fingerprint
    assert lower["normalizer"] == NORMALIZERS["lower"].fingerprint
    assert lower["wer"]["rate"] < raw["wer"]["rate"]
    card = test["card"]
    assert card["model_card"]["name"] == "tiny"
    assert card["search"] == to_plain(tiny.DECODING)
    assert card["data"] == {"test": fingerprint_dataset(manifest.read(data / "test.jsonl"))}
    assert card["command"][:3] == ["asrattn", "evaluate", str(model)]
    assert card["wall_seconds"] > 0
    assert {"commit", "versions", "hardware", "cpu_seconds", "energy"} <= card.keys()


def test_the_files_score_the_same(capsys, model: Path, data: Path) -> None:
    _, (line,), _ = run(capsys, model, data / "test.jsonl", "--out", data / "out")
    assert main(["score", str(data / "test.jsonl"), str(data / "out" / "test.hypotheses.jsonl")]) == 0
    assert capsys.readouterr().out.splitlines()[0] == line.rpartition("   RTF")[0]


def test_the_worst_are_shown(capsys, model: Path, data: Path) -> None:
    _, out, _ = run(capsys, model, data / "test.jsonl", "--worst", "1")
    assert sum(" errors in " in line for line in out) == 1


def test_audio_that_is_not_there_counts_as_deleted(capsys, model: Path, data: Path) -> None:
    (data / "0.wav").unlink()
    (data / "4.wav").write_bytes(b"RIFF")
    status, (line,), err = run(capsys, model, data / "test.jsonl", "--out", data / "out")
    assert status == 1
    assert "5 utterances" in line
    assert err[0].startswith(f"asrattn: u0: {data / '0.wav'}: does not exist")
    assert err[1].startswith("asrattn: u4: ")
    assert err[2] == "asrattn: test: 2 of 5 utterances count as deleted"
    lines = (data / "out" / "test.hypotheses.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["u1", "u2", "u3"]


def test_a_set_of_which_nothing_can_be_read(capsys, model: Path, data: Path) -> None:
    for path in data.glob("*.wav"):
        path.unlink()
    status, (line,), _ = run(capsys, model, data / "dev.jsonl")
    assert status == 1
    assert "WER 100.0 %" in line


def test_a_bad_manifest_shows_before_anything_is_decoded(capsys, model: Path, data: Path) -> None:
    (data / "bad.jsonl").write_text("{")
    status, out, (err,) = run(capsys, model, data / "test.jsonl", data / "bad.jsonl")
    assert (status, out) == (1, [])
    assert "bad.jsonl:1: is no JSON" in err


def test_two_manifests_of_one_name(capsys, model: Path, data: Path) -> None:
    status, _, (err,) = run(capsys, model, data / "test.jsonl", data / "test.jsonl")
    assert status == 1
    assert "same name" in err


def test_the_parts_of_a_job_array_score_as_the_whole(capsys, model: Path, data: Path, tmp_path: Path) -> None:
    _, (line,), _ = run(capsys, model, data / "test.jsonl")
    out = tmp_path / "out"
    for number in range(1, 7):  # one more than there are utterances
        status, (written,), _ = run(
            capsys, model, data / "test.jsonl", "--out", out, "--shard", f"{number}/6"
        )
        assert status == 0
        assert written == str(out / f"test.hypotheses.{number}-of-6.jsonl")
    assert len(list(out.iterdir())) == 6
    together = out / "test.hypotheses.jsonl"
    together.write_text("".join(p.read_text() for p in sorted(out.glob("*-of-6.jsonl"))))
    assert main(["score", str(data / "test.jsonl"), str(together)]) == 0
    assert capsys.readouterr().out.strip() == line.rpartition("   RTF")[0]


def test_a_part_needs_a_place(capsys, model: Path, data: Path) -> None:
    status, out, err = run(capsys, model, data / "test.jsonl", "--shard", "1/2")
    assert (status, out) == (1, [])
    assert "name their folder with --out DIR" in err[0]
