"""LibriSpeech: parts, their joins, and the published layout in miniature."""

from pathlib import Path

import pytest

from asrattn.data import manifest
from asrattn.errors import DataError
from data_prep import librispeech
from data_prep.__main__ import main

PARTS = {
    "train-clean-100": ("19", "26"),
    "train-other-500": ("20",),
    "dev-clean": ("84",),
    "dev-other": ("116",),
    "test-clean": ("61",),
    "test-other": ("367",),
}


def _published(root: Path, sound) -> Path:
    for part, speakers in PARTS.items():
        for speaker in speakers:
            chapter = root / part / speaker / "198"
            ids = [f"{speaker}-198-{n:04d}" for n in range(2)]
            for id_ in ids:
                sound(chapter / f"{id_}.flac")
            (chapter / f"{speaker}-198.trans.txt").write_text(
                "".join(f"{id_} NORTHANGER ABBEY\n" for id_ in ids)
            )
    (root / "SPEAKERS.TXT").write_text("; about the speakers\n")
    return root


def test_parts_and_their_joins(sound, tmp_path: Path):
    _published(tmp_path / "LibriSpeech", sound)
    for source in (tmp_path, tmp_path / "LibriSpeech"):
        paths = librispeech.prepare(source, tmp_path / "out")
        assert set(paths) == {"train", "dev", "test", *PARTS}
        speakers = {name: {u.speaker for u in manifest.read(path)} for name, path in paths.items()}
        assert speakers["train"] == {"19", "26", "20"}
        assert speakers["dev"] == speakers["dev-clean"] == {"84"}
        assert speakers["test"] == {"61"}
        assert speakers["test-other"] == {"367"}
        first = manifest.read(paths["train-clean-100"])[0]
        assert (first.id, first.text) == ("19-198-0000", "NORTHANGER ABBEY")


def test_a_choice_of_training_parts(sound, tmp_path: Path, capsys):
    root = _published(tmp_path / "LibriSpeech", sound)
    words = ["librispeech", str(root), str(tmp_path / "out"), "--train"]
    assert main([*words, "train-clean-100"]) == 0
    assert "train-other-500" not in capsys.readouterr().out
    assert {u.speaker for u in manifest.read(tmp_path / "out" / "train.jsonl")} == {"19", "26"}
    assert main([*words, "train-clean-360"]) == 1
    assert "has no folder train-clean-360; it has dev-clean" in capsys.readouterr().err


def test_files_and_lines_without_a_partner_are_dropped(sound, tmp_path: Path):
    root = _published(tmp_path / "LibriSpeech", sound)
    chapter = root / "dev-clean" / "84" / "198"
    sound(chapter / "84-198-0009.flac")
    (chapter / "84-198-0000.flac").unlink()
    paths = librispeech.prepare(root, tmp_path / "out")
    assert [u.id for u in manifest.read(paths["dev"])] == ["84-198-0001"]
    dropped = (tmp_path / "out" / "dropped.tsv").read_text()
    assert "no .trans.txt has a line for it" in dropped
    assert "84-198-0000.flac: does not exist" in dropped


def test_what_is_no_librispeech_is_told(tmp_path: Path):
    with pytest.raises(DataError, match=r"has no folder train-\*"):
        librispeech.prepare(tmp_path, tmp_path / "out")
    (tmp_path / "dev-clean").mkdir()
    with pytest.raises(DataError, match=r"dev-clean: has no <speaker>/<chapter>/\*\.trans\.txt"):
        librispeech.prepare(tmp_path, tmp_path / "out")


def _chapters(root: Path, sound, speakers: range) -> Path:
    for speaker in speakers:
        ids = [f"{speaker}-7-{n:04d}" for n in range(3)]
        for id_ in ids:
            sound(root / f"{speaker}" / "7" / f"{id_}.wav")
        lines = "".join(f"{id_} NORTHANGER ABBEY\n" for id_ in ids)
        (root / f"{speaker}" / "7" / f"{speaker}-7.trans.txt").write_text(lines)
    return root


def test_chapters_without_parts_are_split_by_speakers(sound, tmp_path: Path):
    root = _chapters(tmp_path / "chapters", sound, range(10))
    splits = {name: manifest.read(path) for name, path in librispeech.prepare(root, tmp_path / "a").items()}
    assert {name: len({u.speaker for u in us}) for name, us in splits.items()} == {
        "train": 8,
        "dev": 1,
        "test": 1,
    }
    assert len({u.speaker for us in splits.values() for u in us}) == 10
    flags = ["--dev-share", "0.3", "--test-share", "0"]
    assert main(["librispeech", str(root), str(tmp_path / "b"), *flags]) == 0
    assert len(manifest.read(tmp_path / "b" / "dev.jsonl")) == 9
    assert not (tmp_path / "b" / "test.jsonl").exists()
    assert main(["librispeech", str(root / "3" / "7"), str(tmp_path / "c")]) == 0
    assert {u.speaker for u in manifest.read(tmp_path / "c" / "train.jsonl")} == {"3"}
    assert main(["librispeech", str(root), str(tmp_path / "d"), "--train", "train-clean-100"]) == 1


def test_a_share_of_a_part_is_not_trained_on_twice(sound, tmp_path: Path, caplog):
    _chapters(tmp_path / "LibriSpeech" / "train-clean-5", sound, range(10))
    whole = librispeech.prepare(tmp_path, tmp_path / "a")
    assert list(whole) == ["train", "train-clean-5"]
    assert "no dev.jsonl: nothing is in that split; --dev-share 0.1 holds out" in caplog.text
    paths = librispeech.prepare(tmp_path, tmp_path / "b", dev_share=0.2)
    ids = {name: {u.id for u in manifest.read(path)} for name, path in paths.items()}
    assert len(ids["dev"]) == 6
    assert ids["train"] == ids["train-clean-5"]
    assert not ids["dev"] & ids["train"]
