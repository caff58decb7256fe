"""python -m data_prep: exit status, summary, one line for what went wrong."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asrattn.data import manifest
from data_prep import audio_scan as opening
from data_prep.__main__ import main


@pytest.fixture
def recordings(sound, tmp_path: Path) -> Path:
    for n in range(10):
        path = sound(tmp_path / "rec" / f"s{n}" / f"{n}.wav", seconds=36.0, rate=1000)
        path.with_suffix(".txt").write_text(f"Number, {n}!")
    return tmp_path / "rec"


def test_the_summary_counts_and_names(recordings: Path, tmp_path: Path, capsys):
    for n in range(7):
        (recordings / f"broken{n}.wav").touch()
        (recordings / f"broken{n}.txt").write_text("x")
    assert main(["folder", str(recordings), str(tmp_path / "out"), "--lower", "--strip-punctuation"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].split()[:7] == ["train", "8", "utterances", "0.08", "hours", "8", "speakers"]
    assert [line.split()[:2] for line in out[1:4]] == [["dev", "1"], ["test", "1"], ["dropped", "7"]]
    assert out[3].endswith("dropped.tsv")
    assert sum("broken" in line and "is empty" in line for line in out[4:]) == 5
    assert out[-1].strip() == "… and 2 more"
    assert manifest.read(tmp_path / "out" / "train.jsonl")[0].text.startswith("number ")


def test_as_a_process_it_is_quiet_on_stderr_and_status_tells(recordings: Path, tmp_path: Path):
    command = [sys.executable, "-m", "data_prep", "folder"]
    done = subprocess.run(
        [*command, recordings, tmp_path / "out"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("train ")
    failed = subprocess.run(
        [*command, tmp_path / "no", tmp_path / "out"], capture_output=True, text=True, check=False
    )
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr == f"error: {tmp_path / 'no'}: does not exist; name the folder of the corpus\n"


@pytest.mark.parametrize(
    "corpus", ["aishell", "an4", "folder", "kaldi", "commonvoice", "librispeech", "speechocean762"]
)
def test_a_missing_or_empty_source_is_one_line(corpus: str, tmp_path: Path, capsys):
    (tmp_path / "empty").mkdir()
    for source in (tmp_path / "missing", tmp_path / "empty"):
        assert main([corpus, str(source), str(tmp_path / "out")]) == 1
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("error: ")
        assert captured.err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nosuch", "a", "b"],
        ["an4", "a"],
        ["an4", "a", "b", "--dev-speakers", "-1"],
        ["an4", "a", "b", "--dev-speakers", "some"],
        ["folder", "a", "b", "--dev-share", "0.9"],
        ["folder", "a", "b", "--jobs", "0"],
        ["demo", "a", "b"],
    ],
)
def test_wrong_usage_is_status_two(arguments: list[str], capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_destination_that_may_not_be_written(recordings: Path, tmp_path: Path, capsys):
    (tmp_path / "locked").mkdir(mode=0o500)
    assert main(["folder", str(recordings), str(tmp_path / "locked" / "out")]) == 1
    assert "Permission denied" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_no_space_left_is_one_line(recordings: Path, tmp_path: Path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "dropped.tsv").symlink_to("/dev/full")
    assert main(["folder", str(recordings), str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err.startswith(f"error: {tmp_path / 'out'}: cannot be written (No space left")


def test_every_option_of_a_corpus_reaches_it(sound, tmp_path: Path, capsys):
    for n in range(6):
        sound(tmp_path / "rec" / f"{n}.wav")
    (tmp_path / "t.csv").write_text("f,t,s,p\n" + "".join(f"{n}.wav,Hi {n},s{n},train\n" for n in range(6)))
    flags = [
        "--table",
        str(tmp_path / "t.csv"),
        "--audio-column",
        "f",
        "--text-column",
        "t",
        "--speaker-column",
        "s",
    ]
    flags += [
        "--split-column",
        "p",
        "--dev-share",
        "0.3",
        "--test-share",
        "0",
        "--upper",
        "--quick",
        "--jobs",
        "1",
    ]
    assert main(["folder", str(tmp_path / "rec"), str(tmp_path / "out"), *flags, "--seed", "3"]) == 0
    assert not (tmp_path / "out" / "test.jsonl").exists()
    assert len(manifest.read(tmp_path / "out" / "dev.jsonl")) == 2
    assert manifest.read(tmp_path / "out" / "train.jsonl")[0].text.startswith("HI ")


def test_parts_open_every_file_once_and_the_last_run_none(
    recordings: Path, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
):
    (recordings / "broken.wav").write_bytes(b"no sound")
    (recordings / "broken.txt").write_text("x")
    assert main(["folder", str(recordings), str(tmp_path / "one")]) == 0
    whole = capsys.readouterr().out.replace("/one/", "/parts/")
    opened = []
    before = opening._open
    monkeypatch.setattr(opening, "_open", lambda path, quick: opened.append(path) or before(path, quick))
    for number in (1, 2, 3):
        assert main(["folder", str(recordings), str(tmp_path / "parts"), "--shard", f"{number}/3"]) == 0
        assert (
            "of 11 files opened; after all job shards, run it again without --shard"
            in capsys.readouterr().out
        )
    assert sorted(opened) == sorted(recordings.rglob("*.wav"))
    assert not list((tmp_path / "parts").glob("train.jsonl"))
    del opened[:]
    assert main(["folder", str(recordings), str(tmp_path / "parts")]) == 0
    assert opened == []
    assert capsys.readouterr().out == whole
    (recordings / "broken.wav").write_bytes(b"no sound at all")
    assert main(["folder", str(recordings), str(tmp_path / "parts")]) == 0
    assert opened == [recordings / "broken.wav"]  # it has changed


def test_what_a_quick_part_found_does_not_serve_a_thorough_run(recordings: Path, tmp_path: Path, monkeypatch):
    arguments = ["folder", str(recordings), str(tmp_path / "out")]
    assert main([*arguments, "--quick", "--shard", "1/2"]) == 0
    found = opening._load_scans(tmp_path / "out", quick=False)
    assert list(found) == []
    assert len(list(opening._load_scans(tmp_path / "out", quick=True))) == 5


@pytest.mark.parametrize("quick", [[], ["--quick"]])
def test_what_is_odd_about_files_is_said_and_lengths_are_true(tmp_path: Path, caplog, quick: list[str]):
    wave = (0.3 * np.sin(np.arange(32000) / 9)).astype(np.float32)
    for number in range(3):
        path = tmp_path / "rec" / f"{number}.flac"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, wave, 16000)
        content = bytearray(path.read_bytes())
        content[21] &= 0xF0
        content[22:26] = bytes(4)
        path.write_bytes(content)
        path.with_suffix(".txt").write_text("one")
    arguments = [
        "folder",
        str(tmp_path / "rec"),
        str(tmp_path / "out"),
        "--dev-share",
        "0",
        "--test-share",
        "0",
    ]
    assert main([*arguments, *quick]) == 0
    assert [u.seconds for u in manifest.read(tmp_path / "out" / "train.jsonl")] == [2.0] * 3
    assert "0.flac and 2 more: its header gives no length" in caplog.text
