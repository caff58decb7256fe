"""Shards as a command: complete, repeatable, resumable, divisible; what is broken is told."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asrattn import audio
from asrattn.data import manifest
from asrattn.data.manifest import Utterance
from asrattn.data.shards import ShardReader, Shards
from data_prep import shards
from data_prep.__main__ import main

RATE = 8000


@pytest.fixture
def corpus(sound, tmp_path: Path) -> Path:
    """24 utterances of 0.1 to 2.4 s; two are segments of a file, one is stereo noise."""
    utterances = []
    for i in range(24):
        path = sound(tmp_path / "wav" / f"{i}.wav", (i + 1) / 10, RATE)
        utterances.append(Utterance(f"u/{i}", str(path), f"text {i}", (i + 1) / 10, speaker=f"s{i % 3}"))
    for i in (20, 21):
        utterances[i] = Utterance(f"u/{i}", utterances[i].audio, f"text {i}", 0.5, start=1.0)
    manifest.write(tmp_path / "train.jsonl", utterances)
    return tmp_path / "train.jsonl"


def make(corpus: Path, dest: Path, *more: str) -> int:
    return main(["shards", str(corpus), str(dest), "--hours", "0.0015", *more])


def content(dest: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(dest.iterdir())}


def test_shards_hold_what_the_manifest_lists(corpus: Path, tmp_path: Path, capsys) -> None:
    assert make(corpus, tmp_path / "train") == 0
    assert capsys.readouterr().out.startswith("5 shards written, 24 utterances ")
    opened = Shards.open(tmp_path / "train")
    reader = ShardReader(opened, np.ones(24, bool))
    listed = {u.id: u for u in manifest.read(corpus)}
    found = [reader.read(number) for number in range(24)]
    assert [u.id for u, _ in found] != list(listed)  # shuffled
    for utterance, data in found:
        source = listed.pop(utterance.id)
        assert (utterance.text, utterance.speaker, utterance.start) == (source.text, source.speaker, None)
        wave = audio.read(Path(utterance.audio), RATE, data=data)
        seconds = None if source.start is None else source.seconds
        assert np.array_equal(wave, audio.read(Path(source.audio), RATE, source.start, seconds))
        assert utterance.seconds == pytest.approx(len(wave) / RATE, abs=1e-4)
    assert listed == {}
    assert max(np.add.reduceat(opened.seconds, opened.starts[:-1])) < 5.4 + 2.4


def test_parts_make_the_same_as_one_and_a_second_run_writes_nothing(
    corpus: Path, tmp_path: Path, capsys
) -> None:
    for number in (2, 1, 3):
        assert make(corpus, tmp_path / "parts", "--shard", f"{number}/3") == 0
    assert make(corpus, tmp_path / "one", "--jobs", "1") == 0
    assert content(tmp_path / "parts") == content(tmp_path / "one")
    capsys.readouterr()
    (tmp_path / "one" / "shard-00002.jsonl").unlink()  # as after a crash: archive there, manifest not
    assert make(corpus, tmp_path / "one") == 0
    assert capsys.readouterr().out.startswith("1 shards written")
    assert content(tmp_path / "parts") == content(tmp_path / "one")
    assert make(corpus, tmp_path / "one") == 0
    assert capsys.readouterr().out.startswith("0 shards written")


def test_other_shards_are_not_mixed_in(corpus: Path, tmp_path: Path, capsys) -> None:
    assert make(corpus, tmp_path / "train") == 0
    before = content(tmp_path / "train")
    for more in (["--rate", "4000"], ["--seed", "1"]):
        assert make(corpus, tmp_path / "train", *more) == 1
        assert "holds shards of another manifest or with other settings" in capsys.readouterr().err
    assert main(["shards", str(corpus), str(tmp_path)]) == 1
    assert "holds manifests that are no shards; name another DEST" in capsys.readouterr().err
    assert content(tmp_path / "train") == before


def test_what_cannot_be_read_is_left_out_and_told(corpus: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "wav" / "3.wav").write_bytes(b"")
    (tmp_path / "wav" / "4.wav").unlink()
    assert make(corpus, tmp_path / "train") == 0
    out = capsys.readouterr().out
    assert "22 utterances" in out
    assert "dropped  2" in out
    assert "3.wav: is empty" in out
    listed = "".join(p.read_text() for p in (tmp_path / "train").glob("*.dropped.tsv"))
    assert "3.wav" in listed
    assert "4.wav" in listed
    assert len(Shards.open(tmp_path / "train").seconds) == 22


def test_a_shard_of_which_nothing_can_be_read_is_an_error(corpus: Path, tmp_path: Path, capsys) -> None:
    for path in (tmp_path / "wav").iterdir():
        path.unlink()
    assert make(corpus, tmp_path / "train") == 1
    assert "utterances can be read: " in capsys.readouterr().err
    assert not list((tmp_path / "train").glob("*.jsonl"))


def test_the_rate_can_be_changed(corpus: Path, tmp_path: Path) -> None:
    assert make(corpus, tmp_path / "train", "--rate", "4000") == 0
    opened = Shards.open(tmp_path / "train")
    utterance, data = ShardReader(opened, np.ones(24, bool)).read(0)
    assert len(audio.read(Path(utterance.audio), 4000, data=data)) == pytest.approx(
        utterance.seconds * 4000, abs=1
    )
    assert json.loads((tmp_path / "train" / "shards.json").read_text())["rate"] == 4000


@pytest.mark.parametrize("part", ["0/3", "4/3", "1", "1/0", "a/b", "-1/3"])
def test_a_part_that_cannot_be_is_wrong_usage(corpus: Path, tmp_path: Path, part: str, capsys) -> None:
    with pytest.raises(SystemExit):
        make(corpus, tmp_path / "train", f"--shard={part}")
    assert "is not a job shard; use for example 1/8" in capsys.readouterr().err


def test_samples_beyond_full_scale_are_never_clipped_in_silence(tmp_path: Path):
    wave = (0.3 * np.sin(np.arange(16000) / 9)).astype(np.float32)
    for name, scale in (("good", 1), ("integers", 32768), ("double", 7)):
        soundfile.write(tmp_path / f"{name}.wav", wave * np.float32(scale), 16000, subtype="FLOAT")
    manifest.write(
        tmp_path / "m.jsonl", [Utterance(n, f"{n}.wav", "a", 1.0) for n in ("good", "integers", "double")]
    )
    (made,) = list(shards.write_shards(tmp_path / "m.jsonl", tmp_path / "out"))
    assert made.utterances == 1
    assert len(made.dropped) == 2
    assert all("samples beyond ±1" in reason for _, reason in made.dropped)
    assert any("integer range" in reason for _, reason in made.dropped)
