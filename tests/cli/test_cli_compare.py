"""`asrattn compare`: lines, what changed, runs of a system, and systems that cannot be compared."""

import json
import re
from pathlib import Path

import pytest

from asrattn.cli.main import main
from asrattn.data import manifest
from asrattn.data.manifest import Utterance
from asrattn.metrics import hypothesis_file
from asrattn.metrics.hypothesis_file import HypothesisLine

SAID = [f"go to the end of line {i}" for i in range(40)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three systems: a misses "the" always and "go" sometimes, b only "to" once, c is a again."""
    manifest.write(
        tmp_path / "test.jsonl",
        [Utterance(f"u{i}", "x.wav", t, 1.0, f"s{i % 10}") for i, t in enumerate(SAID)],
    )
    write(
        tmp_path / "a.jsonl",
        [t.replace("the ", "").replace("go ", "" if i % 4 else "go ") for i, t in enumerate(SAID)],
    )
    write(tmp_path / "b.jsonl", [SAID[0].replace("to", "too"), *SAID[1:]])
    write(tmp_path / "c.jsonl", [line.text for line in hypothesis_file.read(tmp_path / "a.jsonl")])
    return tmp_path


def write(path: Path, texts: list[str]) -> None:
    hypothesis_file.write(path, [HypothesisLine(f"u{i}", text) for i, text in enumerate(texts)])


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, list[str], list[str]]:
    status = main(["compare", *map(str, arguments)])
    out, err = capsys.readouterr()
    return status, out.splitlines(), err.splitlines()


def test_lines_for_systems_and_for_differences(capsys, data: Path) -> None:
    status, out, err = run(capsys, data / "test.jsonl", *(data / f"{s}.jsonl" for s in "abc"))
    assert status == 0
    rate = r"-?\d+\.\d % \[-?\d+\.\d, -?\d+\.\d\]"
    for line, name in zip(out[:3], "abc", strict=True):
        assert re.fullmatch(rf"{name}   40 utterances   280 words   WER {rate}   text none\.1-\w{{8}}", line)
    tests = r"p \d\.\d{4}   MAPSSWE W \S+, \d+ segments, p \d\.\d{4}"
    assert re.fullmatch(rf"b against a   WER -\d+\.\d % \[-\S+, -\S+\]   {tests}   better", out[3])
    assert out[4].startswith("c against a   WER 0.0 % [0.0, 0.0]   p 1.0000")
    assert out[4].endswith("   no difference shown")
    assert "resampling speakers" in err[0]


def test_what_changed_is_shown(capsys, data: Path) -> None:
    _, out, _ = run(capsys, data / "test.jsonl", data / "a.jsonl", data / "b.jsonl", "--changes", 2)
    assert "b against a   39 utterances fixed   0 newly broken" in out
    at = out.index("  fixed  broken   of   word (70 fixed, 1 newly broken)")
    assert [line.split() for line in out[at + 1 : at + 3]] == [
        ["40", "0", "40", "the"],
        ["30", "0", "40", "go"],
    ]
    assert "  before   after  words   speaker (10 better, 0 worse)" in out


def test_runs_are_pooled(capsys, data: Path) -> None:
    status, out, _ = run(
        capsys, data / "test.jsonl", f"old={data / 'a.jsonl'},{data / 'b.jsonl'}", f"new={data / 'b.jsonl'}"
    )
    assert status == 0
    assert re.fullmatch(
        r"old   40 utterances   280 words   WER 12\.7 % \[\S+, \S+\]   2 runs: 25\.0, 0\.4   text \S+", out[0]
    )
    assert re.fullmatch(
        r"new against old   WER -12\.3 % \[.*\]   p .*   MAPSSWE .*   over seeds p 0\.\d{4}   no difference shown",
        out[2],
    )


def test_one_run_of_each_system_is_said_to_know_nothing_of_seeds(capsys, data: Path) -> None:
    note = "one run of each system: whether other seeds would give the same is not known"
    one = run(capsys, data / "test.jsonl", data / "a.jsonl", data / "b.jsonl")
    assert note in one[2]
    old = f"old={data / 'a.jsonl'},{data / 'c.jsonl'}"
    several = run(capsys, data / "test.jsonl", old, data / "b.jsonl")
    assert note not in several[2]
    (line,) = run(capsys, data / "test.jsonl", data / "a.jsonl", data / "b.jsonl", "--json")[1]
    (found,) = json.loads(line)["comparisons"]
    assert (found["seeds"], found["holm"]["seeds"], found["notes"]) == (None, None, [note])
    (line,) = run(capsys, data / "test.jsonl", old, data / "b.jsonl", "--json")[1]
    (found,) = json.loads(line)["comparisons"]
    assert found["seeds"]["p"] == found["holm"]["seeds"]
    assert found["interval"] == found["seeds"]["interval"]


def test_as_json(capsys, data: Path) -> None:
    _, (line,), _ = run(
        capsys, data / "test.jsonl", data / "a.jsonl", data / "b.jsonl", data / "c.jsonl", "--json"
    )
    found = json.loads(line)
    assert (found["baseline"], [s["name"] for s in found["systems"]]) == ("a", ["a", "b", "c"])
    b, c = found["comparisons"]
    assert b["verdict"] == "better"
    assert b["holm"]["p"] == pytest.approx(2 * b["p"])
    assert {w["word"] for w in b["words"]} == {"the", "go", "to"}
    assert (c["difference"], c["fixed"], c["broken"], c["mapsswe"]["w"]) == (0.0, [], [], 0.0)


def test_systems_that_went_through_different_normalisers_are_refused(capsys, data: Path) -> None:
    hypothesis_file.write(
        data / "d.jsonl",
        [HypothesisLine(f"u{i}", t, normalizer="english.1-00000000") for i, t in enumerate(SAID)],
    )
    status, out, err = run(
        capsys, data / "test.jsonl", data / "a.jsonl", data / "d.jsonl", "--normalize", "english"
    )
    assert (status, out) == (1, [])
    assert "its texts went through english.1-00000000" in err[0]
    assert run(capsys, data / "test.jsonl", data / "a.jsonl", data / "d.jsonl", "--force")[0] == 0


def test_one_system_cannot_be_compared(capsys, data: Path) -> None:
    status, out, err = run(capsys, data / "test.jsonl", f"a={data / 'a.jsonl'},{data / 'b.jsonl'}")
    assert (status, out) == (1, [])
    assert "two systems or more" in err[0]
    _, _, err = run(capsys, data / "test.jsonl", data / "a.jsonl", data / "a.jsonl")
    assert "two systems have the same name" in err[0]


def test_a_form_that_is_none_is_wrong_usage(capsys, data: Path) -> None:
    with pytest.raises(SystemExit) as stopped:
        run(capsys, data / "test.jsonl", "a=", data / "b.jsonl")
    assert stopped.value.code == 2


def test_a_page(capsys, data: Path) -> None:
    plain = run(capsys, data / "test.jsonl", data / "a.jsonl", data / "b.jsonl")
    out = data / "new"
    status, lines, err = run(capsys, data / "test.jsonl", data / "a.jsonl", data / "b.jsonl", "--out", out)
    assert (status, lines) == plain[:2]
    assert str(out / "compare.html") in err
    assert [p.name for p in out.iterdir()] == ["compare.html"]
    assert "<title>b against a</title>" in (out / "compare.html").read_text(encoding="utf-8")
