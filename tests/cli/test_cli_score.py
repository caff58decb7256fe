import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from asrattn.cli import error_rates, score
from asrattn.data import manifest
from asrattn.data.manifest import Utterance
from asrattn.errors import DataError, ManifestError
from asrattn.metrics import NORMALIZERS, hypothesis_file
from asrattn.metrics.hypothesis_file import HypothesisLine

SAID = {"u1": "Go to the end", "u2": "Don't stop", "u3": "yes"}


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    path = tmp_path / "test.jsonl"
    manifest.write(path, [Utterance(i, f"{i}.wav", text, 1.0, f"s{i}") for i, text in SAID.items()])
    return path


def heard(folder: Path, **texts: str) -> Path:
    path = folder / "hyp.jsonl"
    hypothesis_file.write(path, [HypothesisLine(i, text) for i, text in texts.items()])
    return path


def command(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    score.add(parser)
    args = parser.parse_args([str(a) for a in arguments])
    status: int = args.run(args)
    return status


def test_one_line_for_the_set(reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(reference, heard(tmp_path, u1="Go to end", u2="Don't stop", u3="yes")) == 0
    out, err = capsys.readouterr()
    assert out.count("\n") == 1
    assert out.startswith("test   3 utterances   7 words   WER 14.3 % [")
    assert "resampling utterances" in err


def test_a_normalised_line_stands_below_the_raw_one(
    reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hypothesis = heard(tmp_path, u1="go to the end", u2="don’t, stop!", u3="yes")
    assert command(reference, hypothesis, "--normalize", "plain") == 0
    raw, plain = capsys.readouterr().out.splitlines()
    assert raw.startswith("test   3 utterances   7 words   WER 42.9 %")
    assert plain.startswith("test (plain)   3 utterances   7 words   WER 0.0 % [0.0,")


def test_a_missing_hypothesis_counts_as_deleted_and_is_told(
    reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(reference, heard(tmp_path, u1="Go to the end", u3="yes")) == 0
    out, err = capsys.readouterr()
    assert "WER 28.6 %" in out
    assert "1 utterance (u2) missing" in err


def test_an_unknown_id_is_an_error(reference: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"hyp.jsonl: 1 utterance \(u9\) not in .*test.jsonl"):
        command(reference, heard(tmp_path, u1="Go", u9="yes"))


def test_a_damaged_file_is_an_error(reference: Path, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"absent.jsonl: does not exist"):
        command(reference, tmp_path / "absent.jsonl")


def test_speakers_worst_and_confusions_are_shown_when_asked(
    reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hypothesis = heard(tmp_path, u1="Go into end now", u2="Don't stop", u3="yes")
    assert command(reference, hypothesis, "--by", "speaker", "--worst", 2, "--confusions", 1) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("   ")[0] for line in lines[:4]] == ["test", "test/su1", "test/su2", "test/su3"]
    assert lines[4:9] == [
        "",
        "u1   3 errors in 4 words",
        "  ref: Go to   the end",
        "  hyp: Go into end now",
        "          S    S   S",
    ]
    assert lines[9:] == ["", "count   ref → hyp", "    1   end → now"]


def test_a_manifest_of_several_sets_gets_a_row_for_each(
    reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    utterances = [
        Utterance(i, f"{i}.wav", text, 1.0, tags={"set": "clean" if i == "u3" else "other", "snr": n * 10})
        for n, (i, text) in enumerate(SAID.items())
    ]
    manifest.write(reference, utterances)
    assert command(reference, heard(tmp_path, **(SAID | {"u1": "go"})), "--by", "snr", "--by", "length") == 0
    lines = [line.split("   ") for line in capsys.readouterr().out.splitlines()]
    names = ["test", "test/other", "test/clean", "test/0 dB", "test/10 dB", "test/20 dB"]
    assert [line[0] for line in lines] == [*names, "test/4 words", "test/1 words", "test/2 words"]
    assert all(line[-1] == "few words" for line in lines[1:])


def test_a_field_that_nobody_has_is_told(reference: Path, tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"test: no utterance has 'snr'; there are length, rate, id, .*speaker"
    ):
        command(reference, heard(tmp_path, **SAID), "--by", "snr")


def test_keywords(reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "words.txt").write_text("# commands\nDon't Stop\nthe end\nyes\n")
    texts = {"u1": "Go to the end", "u2": "stop", "u3": "yes yes"}
    assert (
        command(
            reference, heard(tmp_path, **texts), "--keywords", tmp_path / "words.txt", "--normalize", "basic"
        )
        == 0
    )
    lines = capsys.readouterr().out.splitlines()
    assert re.match(
        r"test keywords   2 occurrences   recall 100.0 % \[.*1 false alarms   text none", lines[1]
    )
    assert re.match(
        r"test \(basic\) keywords   3 occurrences   recall 66.7 % \[.*1 false alarms   text basic",
        lines[6 - 1],
    )
    assert lines[6].startswith("  don't stop   1 occurrences   recall 0.0 % [")


def test_as_json(reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        command(
            reference,
            heard(tmp_path, **(SAID | {"u1": "go"})),
            "--json",
            "--normalize",
            "lower",
            "--by",
            "speaker",
        )
        == 0
    )
    raw, lower = json.loads(capsys.readouterr().out)
    assert (raw["words"]["reference"], raw["wer"]["rate"]) == (7, pytest.approx(4 / 7))
    assert (lower["wer"]["rate"], lower["normalizer"]) == (
        pytest.approx(3 / 7),
        NORMALIZERS["lower"].fingerprint,
    )
    assert [part["set"] for part in raw["by_speaker"]] == ["su1", "su2", "su3"]


def test_texts_of_another_normaliser_are_refused(
    reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = tmp_path / "done.jsonl"
    assert command(reference, heard(tmp_path, **SAID), "--normalize", "plain", "--out", done) == 0
    assert hypothesis_file.read(done)[1] == HypothesisLine(
        "u2", "don't stop", normalizer=NORMALIZERS["plain"].fingerprint
    )
    with pytest.raises(
        DataError, match=r"done.jsonl: its texts went through plain\.2-\w+, .*none\.1-\w+; .* or --force"
    ):
        command(reference, done)
    with pytest.raises(DataError, match="cannot be compared"):
        command(reference, done, "--normalize", "english")
    capsys.readouterr()
    assert command(reference, done, "--normalize", "plain") == 0  # and no raw line, which would be none
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("test (plain)   3 utterances   7 words   WER 0.0 %")
    assert command(reference, done, "--force") == 0
    assert "WER 28.6 %" in capsys.readouterr().out


def test_a_negative_number_is_wrong_usage(reference: Path) -> None:
    with pytest.raises(SystemExit) as stopped:
        command(reference, reference, "--worst", -1)
    assert stopped.value.code == 2


def test_neither_torch_nor_matplotlib_is_needed(reference: Path, tmp_path: Path) -> None:
    hypothesis = heard(tmp_path, **SAID)
    program = (
        "import argparse, json, sys\n"
        "from asrattn.cli import score\n"
        "parser = argparse.ArgumentParser(); score.add(parser)\n"
        "args = parser.parse_args(sys.argv[1:]); args.run(args)\n"
        "print(json.dumps([m for m in ('torch', 'lightning', 'matplotlib') if m in sys.modules]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(reference), str(hypothesis)],
        capture_output=True,
        text=True,
        check=True,
    )
    line, modules = done.stdout.splitlines()
    assert "WER 0.0 %" in line
    assert json.loads(modules) == []


def test_every_normaliser_can_be_asked_for() -> None:
    assert {"none", *error_rates.NORMALIZER_NAMES} == set(NORMALIZERS)
