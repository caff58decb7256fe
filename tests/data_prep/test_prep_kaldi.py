"""Kaldi data folders, with and without segments, and speechocean762."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from asrattn.data import manifest
from asrattn.errors import DataError
from data_prep import kaldi, speechocean762
from data_prep.build import PrepOptions


def _write(path: Path, lines: dict[str, str], gap: str = " ") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{key}{gap}{value}\n" for key, value in lines.items()), encoding="utf-8")


def _folder(here: Path, audio_root: Path, sound, speakers: range, gap: str = " ", each: int = 2) -> Path:
    ids = [f"{speaker:04d}{n}" for speaker in speakers for n in range(each)]
    for id_ in ids:
        sound(audio_root / "WAVE" / f"{id_}.wav")
    _write(here / "wav.scp", {id_: f"WAVE/{id_}.wav" for id_ in ids}, gap)
    _write(here / "text", dict.fromkeys(ids, "WE CALL IT BEAR"), gap)
    _write(here / "utt2spk", {id_: id_[:4] for id_ in ids}, gap)
    return here


def _read(paths: dict[str, Path]) -> dict[str, list[manifest.Utterance]]:
    return {name: manifest.read(path) for name, path in paths.items()}


def test_one_folder_is_split_by_speakers(sound, tmp_path: Path):
    here = _folder(tmp_path / "data", tmp_path / "data", sound, range(10))
    splits = _read(kaldi.prepare(here, tmp_path / "out"))
    assert {name: len({u.speaker for u in us}) for name, us in splits.items()} == {
        "train": 8,
        "dev": 1,
        "test": 1,
    }
    assert len({u.speaker for us in splits.values() for u in us}) == 10
    assert splits["train"][0].text == "WE CALL IT BEAR"


def test_folders_named_train_and_test_keep_their_parts(sound, tmp_path: Path):
    _folder(tmp_path / "c" / "train", tmp_path / "c", sound, range(10))
    _folder(tmp_path / "c" / "test", tmp_path / "c", sound, range(20, 23))
    splits = _read(kaldi.prepare(tmp_path / "c", tmp_path / "out", dev_share=0.2))
    assert {name: len(us) for name, us in splits.items()} == {"train": 16, "dev": 4, "test": 6}
    assert {u.speaker for u in splits["test"]} == {"0020", "0021", "0022"}


def test_segments_cut_a_recording(sound, tmp_path: Path):
    sound(tmp_path / "long.wav", seconds=3.0)
    _write(tmp_path / "wav.scp", {"call": str(tmp_path / "long.wav")})
    _write(tmp_path / "text", {"call-1": "one", "call-2": "two", "call-3": "three", "call-4": "four"})
    _write(
        tmp_path / "segments",
        {"call-1": "call 0.0 1.0", "call-2": "call 1.0 2.25", "call-3": "call 2.5 -1", "call-4": "other 0 1"},
    )
    splits = _read(kaldi.prepare(tmp_path, tmp_path / "out", dev_share=0, test_share=0))
    assert [(u.id, u.start, u.seconds, u.text) for u in splits["train"]] == [
        ("call-1", 0.0, 1.0, "one"),
        ("call-2", 1.0, 1.25, "two"),
        ("call-3", 2.5, 0.5, "three"),
    ]
    assert "no line for its recording other" in (tmp_path / "out" / "dropped.tsv").read_text()


def test_a_root_for_relative_paths(sound, tmp_path: Path):
    here = _folder(tmp_path / "deep" / "data", tmp_path / "elsewhere", sound, range(5))
    splits = _read(kaldi.prepare(here, tmp_path / "out", root=tmp_path / "elsewhere"))
    assert sum(map(len, splits.values())) == 10
    with pytest.raises(DataError, match=r"no usable utterance; 10 were dropped.*does not exist"):
        kaldi.prepare(here, tmp_path / "out")


def test_commands_are_told_and_never_run(tmp_path: Path):
    _write(tmp_path / "wav.scp", {"a": f"touch {tmp_path}/ran |"})
    _write(tmp_path / "text", {"a": "x"})
    with pytest.raises(DataError, match=r"wav\.scp:1: is a command .* never run; touch is not known"):
        kaldi.prepare(tmp_path, tmp_path / "out")
    assert not (tmp_path / "ran").exists()


def test_the_one_file_of_a_harmless_command_is_read(sound, tmp_path: Path):
    for name in ("a.wav", "b.flac", "d.wav"):
        sound(tmp_path / name)
    commands = {
        "a": "cat a.wav |",
        "b": "flac -c -d -s b.flac |",
        "c": f"touch {tmp_path}/ran |",
        "d": "d.wav",
        "e": "sox d.wav -t wav - rate 8k speed 1.1 |",
        "f": "feats.ark:1234",
    }
    _write(tmp_path / "wav.scp", commands)
    _write(tmp_path / "text", dict.fromkeys(commands, "x"))
    splits = _read(kaldi.prepare(tmp_path, tmp_path / "out", dev_share=0, test_share=0))
    assert [(u.id, Path(u.audio).name) for u in splits["train"]] == [
        ("a", "a.wav"),
        ("b", "b.flac"),
        ("d", "d.wav"),
    ]
    dropped = (tmp_path / "out" / "dropped.tsv").read_text()
    for words in (
        "wav.scp:3: is a command ('touch",
        "wav.scp:5: is a command",
        "wav.scp:6: is in an archive",
    ):
        assert words in dropped
    assert not (tmp_path / "ran").exists()


def test_channels_are_used_of_mono_and_told_of_others(sound, tmp_path: Path):
    sound(tmp_path / "mono.wav", seconds=2.0)
    soundfile.write(tmp_path / "call.wav", np.zeros((32000, 2)), 16000)
    _write(
        tmp_path / "wav.scp", {"mono": "mono.wav", "call": "call.wav", "call-B": "sph2pipe -c 2 call.wav |"}
    )
    _write(tmp_path / "text", dict.fromkeys("abcde", "x"))
    _write(
        tmp_path / "segments",
        {"a": "mono 0 1 0", "b": "call 0 1 1", "c": "call-B 0 1", "d": "mono 1 2 A", "e": "mono 1 2 x"},
    )
    splits = _read(kaldi.prepare(tmp_path, tmp_path / "out", dev_share=0, test_share=0))
    assert [u.id for u in splits["train"]] == ["a", "d"]
    dropped = (tmp_path / "out" / "dropped.tsv").read_text()
    assert "segments:2: is channel 2 of the 2 of call.wav" in dropped
    assert "segments:3: is channel 2 of the 2 of call.wav" in dropped
    assert "segments:5: 'mono 1 2 x' is not" in dropped


@pytest.mark.parametrize(("side", "told"), [("A", "is channel 1 of the 2"), ("2", "is channel 2 of the 2")])
def test_reco2file_and_channel_names_the_channel(sound, tmp_path: Path, side: str, told: str):
    sound(tmp_path / "mono.wav")
    soundfile.write(tmp_path / "call.wav", np.zeros((1600, 2)), 16000)
    _write(tmp_path / "wav.scp", {"mono": "mono.wav", "call": "call.wav"})
    _write(tmp_path / "text", {"mono": "x", "call": "x"})
    _write(tmp_path / "reco2file_and_channel", {"mono": f"mono {side}", "call": f"call {side}"})
    splits = _read(kaldi.prepare(tmp_path, tmp_path / "out", dev_share=0, test_share=0))
    assert [u.id for u in splits["train"]] == ["mono"]
    assert told in (tmp_path / "out" / "dropped.tsv").read_text()


def test_folders_as_espnet_names_them(sound, tmp_path: Path):
    for name, speakers in {"train_nodev": range(3), "train_dev": range(3, 5), "test": range(5, 7)}.items():
        _folder(tmp_path / "egs" / "data" / name, tmp_path / "egs", sound, speakers)
    splits = _read(kaldi.prepare(tmp_path / "egs" / "data", tmp_path / "out"))
    assert {name: len({u.speaker for u in us}) for name, us in splits.items()} == {
        "train": 3,
        "dev": 2,
        "test": 2,
    }


def test_lists_that_disagree_are_dropped_by_line(sound, tmp_path: Path):
    here = _folder(tmp_path / "data", tmp_path / "data", sound, range(5))
    text = (here / "text").read_text().splitlines()
    (here / "text").write_text("\n".join(["ghost WHO IS THERE", text[0].split()[0], *text[2:]]))
    kaldi.prepare(here, tmp_path / "out")
    rows = [row.split("\t") for row in (tmp_path / "out" / "dropped.tsv").read_text().splitlines()[1:]]
    reasons = {row[1]: row[3] for row in rows}
    assert set(reasons) == {"ghost", "00000", "00001"}
    assert "it has a text but no audio" in reasons["ghost"]
    assert "transcript is empty" in reasons["00000"]
    assert "text has no line" in reasons["00001"]


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("text", "b y", r"text:3: b has a line already (text:2); each id may have one"),
        ("segments", "c rec", r"segments:3: 'rec' is not 'recording start end'"),
        ("segments", "c rec zero one", r"segments:3: 'rec zero one' is not"),
        ("utt2spk", "b other", r"utt2spk:3: b has a line already"),
    ],
)
def test_a_damaged_line_costs_itself_alone(sound, tmp_path: Path, name: str, line: str, message: str):
    sound(tmp_path / "rec.wav", seconds=2.0)
    _write(tmp_path / "wav.scp", {"rec": "rec.wav"})
    _write(tmp_path / "text", {"a": "x", "b": "x"})
    _write(tmp_path / "utt2spk", {"a": "s", "b": "s"})
    _write(tmp_path / "segments", {"a": "rec 0 1", "b": "rec 1 2"})
    with (tmp_path / name).open("a") as out:
        out.write(line + "\n")
    splits = _read(kaldi.prepare(tmp_path, tmp_path / "out", dev_share=0, test_share=0))
    assert [u.id for u in splits["train"]] == ["a", "b"]
    assert message in (tmp_path / "out" / "dropped.tsv").read_text()


def test_missing_lists_are_told(tmp_path: Path):
    with pytest.raises(DataError, match=r"has neither wav\.scp nor train/wav\.scp"):
        kaldi.prepare(tmp_path, tmp_path / "out")
    _write(tmp_path / "wav.scp", {"a": "a.wav"})
    with pytest.raises(DataError, match="text: does not exist"):
        kaldi.prepare(tmp_path, tmp_path / "out")
    with pytest.raises(DataError, match="nowhere: does not exist"):
        kaldi.prepare(tmp_path / "nowhere", tmp_path / "out")


def test_speechocean762_holds_out_whole_speakers(sound, tmp_path: Path):
    _folder(tmp_path / "s" / "train", tmp_path / "s", sound, range(8), gap="\t")
    _folder(tmp_path / "s" / "test", tmp_path / "s", sound, range(20, 24), gap="\t")
    splits = _read(speechocean762.prepare(tmp_path / "s", tmp_path / "out", dev_speakers=3))
    assert {name: len(us) for name, us in splits.items()} == {"train": 10, "dev": 6, "test": 8}
    assert not {u.speaker for u in splits["train"]} & {u.speaker for u in splits["dev"]}


def test_the_real_lists(shared_data: Path, tmp_path: Path):
    paths = kaldi.prepare(shared_data / "speechocean762" / "test", tmp_path, PrepOptions(quick=True))
    splits = _read(paths)
    assert sum(map(len, splits.values())) == 2500
    assert sum(len({u.speaker for u in us}) for us in splits.values()) == 125
    assert sum(u.seconds for us in splits.values() for u in us) / 3600 == pytest.approx(2.69, abs=0.01)


@pytest.mark.slow
def test_the_real_corpus(shared_data: Path, tmp_path: Path):
    splits = _read(speechocean762.prepare(shared_data / "speechocean762", tmp_path))
    assert {name: len({u.speaker for u in us}) for name, us in splits.items()} == {
        "train": 113,
        "dev": 12,
        "test": 125,
    }
    assert len(splits["train"]) + len(splits["dev"]) == len(splits["test"]) == 2500
