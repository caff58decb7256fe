"""AISHELL-1: the published layout in miniature."""

from pathlib import Path

import pytest

from asrattn.data import manifest
from asrattn.errors import DataError
from data_prep import aishell
from data_prep.__main__ import main

SPEAKERS = {"train": ("S0002", "S0003"), "dev": ("S0724",), "test": ("S0764",)}
TEXTS = {121: "甚至 出现 交易 几乎 停滞 的 情况", 122: "一 二 线 城市"}


def _published(root: Path, sound) -> Path:
    lines = []
    for split, speakers in SPEAKERS.items():
        for speaker in speakers:
            for number, text in TEXTS.items():
                id_ = f"BAC009{speaker}W{number:04}"
                sound(root / "wav" / split / speaker / f"{id_}.wav")
                lines.append(f"{id_} {text}\n")
    (root / "transcript").mkdir()
    (root / "transcript" / "aishell_transcript_v0.8.txt").write_text("".join(lines), encoding="utf-8")
    return root


def test_published_splits_and_texts_without_spaces(sound, tmp_path: Path, capsys):
    root = _published(tmp_path / "data_aishell", sound)
    for source in (tmp_path, root):
        assert main(["aishell", str(source), str(tmp_path / "out")]) == 0
        assert "dropped        0" in capsys.readouterr().out
        splits = {name: manifest.read(tmp_path / "out" / f"{name}.jsonl") for name in SPEAKERS}
        assert {name: tuple(sorted({u.speaker for u in us})) for name, us in splits.items()} == SPEAKERS
        assert {u.text for us in splits.values() for u in us} == {
            "甚至出现交易几乎停滞的情况",
            "一二线城市",
        }
        first = splits["test"][0]
        assert (first.id, Path(first.audio).name) == ("BAC009S0764W0121", "BAC009S0764W0121.wav")


def test_sounds_and_lines_without_a_partner_are_dropped(sound, tmp_path: Path):
    root = _published(tmp_path, sound)
    sound(root / "wav" / "train" / "S0002" / "BAC009S0002W0499.wav")
    (root / "wav" / "dev" / "S0724" / "BAC009S0724W0121.wav").unlink()
    paths = aishell.prepare(root, tmp_path / "out")
    assert [u.id for u in manifest.read(paths["dev"])] == ["BAC009S0724W0122"]
    assert len(manifest.read(paths["train"])) == 4
    rows = sorted(row.split("\t") for row in (tmp_path / "out" / "dropped.tsv").read_text().splitlines()[1:])
    assert [(row[0], row[1]) for row in rows] == [("dev", "BAC009S0724W0121"), ("train", "BAC009S0002W0499")]
    assert "no wav file of S0724" in rows[0][3]
    assert "has no line for it" in rows[1][3]


def test_speakers_still_packed_are_told(sound, tmp_path: Path):
    root = _published(tmp_path, sound)
    (root / "wav" / "S0002.tar.gz").touch()  # its folder is there: it was unpacked and kept
    aishell.prepare(root, tmp_path / "out")
    for speaker in ("S0004", "S0005"):
        (root / "wav" / f"{speaker}.tar.gz").touch()
    with pytest.raises(
        DataError, match=r"S0004\.tar\.gz: is not unpacked yet \(2 such\); run: cd .*tar -xzf"
    ):
        aishell.prepare(root, tmp_path / "out")


def test_what_is_no_aishell_is_told(sound, tmp_path: Path):
    root = _published(tmp_path / "data_aishell", sound)
    with pytest.raises(DataError, match=r"has no wav/ and no data_aishell/wav/"):
        aishell.prepare(root / "transcript", tmp_path / "out")
    listed = root / "transcript" / "aishell_transcript_v0.8.txt"
    listed.write_text("BAC009S0002W0121 一\nBAC009S0002W0121 二\n", encoding="utf-8")
    aishell.prepare(root, tmp_path / "out")
    assert "v0.8.txt:2: BAC009S0002W0121 has a line already" in (tmp_path / "out" / "dropped.tsv").read_text()
    listed.unlink()
    with pytest.raises(DataError, match=r"v0\.8\.txt: does not exist"):
        aishell.prepare(root, tmp_path / "out")
    (root / "wav" / "train").rename(root / "wav" / "training")
    listed.write_text("")
    with pytest.raises(DataError, match=r"wav: has no train/<speaker>/\*\.wav"):
        aishell.prepare(root, tmp_path / "out")
