"""Manifests of other toolkits, as their documentation writes them."""

import json
from pathlib import Path
from typing import Any

import pytest

from asrattn.data import manifest
from asrattn.data.manifest import Utterance
from data_prep.__main__ import main


@pytest.fixture
def corpus(sound, tmp_path: Path) -> Path:
    for split in ("train", "dev", "test"):
        for n in range(4):
            sound(tmp_path / "corpus" / "audio" / split / f"{n}.wav", seconds=1.0)
    return tmp_path / "corpus"


def lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def convert(source: Path, out: Path, *flags: str) -> dict[str, list[Utterance]]:
    assert main(["manifest", str(source), str(out), "--quick", *flags]) == 0
    found = {path.stem: manifest.read(path) for path in out.glob("*.jsonl")}
    return {name: found[name] for name in ("train", "dev", "test") if name in found}


def sizes(splits: dict[str, list[Utterance]]) -> dict[str, int]:
    return {name: len(utterances) for name, utterances in splits.items()}


def test_nemo(corpus: Path, tmp_path: Path):
    for split, name in {
        "train": "train_manifest.json",
        "dev": "val_manifest.json",
        "test": "test.json",
    }.items():
        rows = [
            {"audio_filepath": f"audio/{split}/{n}.wav", "duration": 1.0, "text": f"say {n}"}
            for n in range(4)
        ]
        rows[3] |= {"offset": 0.25, "duration": 0.5, "speaker": "ann"}
        lines(corpus / name, rows)
    splits = convert(corpus, tmp_path / "out")
    assert sizes(splits) == {"train": 4, "dev": 4, "test": 4}
    first, *_, last = splits["dev"]
    assert (first.id, first.text, first.seconds, first.start) == ("audio/dev/0", "say 0", 1.0, None)
    assert (last.start, last.seconds, last.speaker) == (0.25, 0.5, "ann")


def test_absolute_paths_of_another_machine(corpus: Path, tmp_path: Path):
    rows = [{"audio_filepath": f"/data/nemo/audio/train/{n}.wav", "text": f"{n}"} for n in range(4)]
    path = lines(corpus / "manifest.json", rows)
    splits = convert(path, tmp_path / "out", "--dev-share", "0", "--test-share", "0")
    assert sizes(splits) == {"train": 4}
    assert Path(splits["train"][0].audio).samefile(corpus / "audio/train/0.wav")


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_hugging_face_audiofolder(sound, tmp_path: Path, suffix: str):
    for split in ("train", "validation", "test"):
        for n in range(3):
            sound(tmp_path / "hf" / split / f"{n}.wav")
        rows = [{"file_name": f"{n}.wav", "transcription": f"say, {n}"} for n in range(3)]
        path = lines(tmp_path / "hf" / split / f"metadata.{suffix}", rows)
        if suffix == "csv":
            path.write_text("file_name,transcription\n" + "".join(f'{n}.wav,"say, {n}"\n' for n in range(3)))
    splits = convert(tmp_path / "hf", tmp_path / "out")
    assert sizes(splits) == {"train": 3, "dev": 3, "test": 3}
    assert [u.id for u in splits["dev"]] == ["validation/0", "validation/1", "validation/2"]
    assert {u.text for us in splits.values() for u in us} == {"say, 0", "say, 1", "say, 2"}


def test_hugging_face_one_metadata_file_for_all_splits(sound, tmp_path: Path):
    for split in ("train", "test"):
        for n in range(3):
            sound(tmp_path / "hf" / split / f"{n}.wav")
    rows = [{"file_name": f"{s}/{n}.wav", "text": f"{n}"} for s in ("train", "test") for n in range(3)]
    lines(tmp_path / "hf" / "metadata.jsonl", rows)
    assert sizes(convert(tmp_path / "hf", tmp_path / "out", "--dev-share", "0")) == {"train": 3, "test": 3}


def test_datasets_to_json(corpus: Path, tmp_path: Path):
    rows = [
        {"audio": {"path": f"audio/train/{n}.wav", "bytes": None}, "sentence": "x", "client_id": f"{n}"}
        for n in range(4)
    ]
    splits = convert(lines(corpus / "train.jsonl", rows), tmp_path / "out", "--dev-share", "0")
    assert {u.speaker for us in splits.values() for u in us} == {"0", "1", "2", "3"}


def test_speechbrain_json_and_csv(corpus: Path, tmp_path: Path):
    entries = {f"u{n}": {"wav": f"audio/train/{n}.wav", "length": 1.0, "words": f"say {n}"} for n in range(4)}
    (corpus / "train.json").write_text(json.dumps(entries, indent=1))
    rows = [f"u{n},1.0,{corpus}/audio/dev/{n}.wav,spk{n},say {n}" for n in range(4)]
    (corpus / "valid.csv").write_text("\n".join(["ID,duration,wav,spk_id,wrd", *rows]))
    splits = convert(corpus, tmp_path / "out", "--test-share", "0")
    assert sizes(splits) == {"train": 4, "dev": 4}
    assert (splits["train"][0].id, splits["dev"][0].id) == ("train/u0", "valid/u0")
    assert splits["dev"][0].speaker == "spk0"


def test_wenet_and_deepspeech(corpus: Path, tmp_path: Path):
    rows = [{"key": f"k{n}", "wav": f"audio/train/{n}.wav", "txt": f"say {n}"} for n in range(4)]
    (corpus / "data.list").write_text("\n".join(map(json.dumps, rows)))
    none = ["--dev-share", "0", "--test-share", "0"]
    assert [u.id for u in convert(corpus / "data.list", tmp_path / "a", *none)["train"]] == [
        f"k{n}" for n in range(4)
    ]
    table = ["wav_filename,wav_filesize,transcript", *(f"audio/dev/{n}.wav,32044,say {n}" for n in range(4))]
    (corpus / "deepspeech.csv").write_text("\n".join(table))
    assert sizes(convert(corpus / "deepspeech.csv", tmp_path / "b", *none)) == {"train": 4}


def test_bad_lines_cost_themselves_alone(corpus: Path, tmp_path: Path):
    rows = [{"audio_filepath": f"audio/train/{n}.wav", "text": f"{n}"} for n in range(4)]
    path = lines(corpus / "train.json", rows)
    good = path.read_text().splitlines()
    bad = [
        "{",
        "[1]",
        "7",
        '{"text": "x"}',
        '{"audio_filepath": "audio/train/3.wav", "text": "x", "offset": "y"}',
    ]
    path.write_text("\n".join([*good[:2], *bad, *good[2:]]))
    assert sizes(convert(path, tmp_path / "out", "--dev-share", "0", "--test-share", "0")) == {"train": 4}
    dropped = (tmp_path / "out" / "dropped.tsv").read_text()
    for number in range(3, 8):
        assert f"train.json:{number}: " in dropped


def test_other_things_are_told(corpus: Path, tmp_path: Path, capsys):
    for content, words in {
        json.dumps({"utts": {"a": {"input": []}}}): "features of ESPnet; use python -m data_prep kaldi",
        "": "holds no row",
        "[]": "holds no row",
        '{"feats": "a.ark:1"}': "has no column 'audio'; it has feats; name it with --audio-column",
    }.items():
        (corpus / "data.json").write_text(content)
        assert main(["manifest", str(corpus / "data.json"), str(tmp_path / "out")]) == 1
        assert words in capsys.readouterr().err
    assert main(["manifest", str(corpus / "audio"), str(tmp_path / "out")]) == 1
    assert "holds no manifest" in capsys.readouterr().err
