"""Tables of own recordings: columns, encodings, paths as people write them."""

import json
import logging
from pathlib import Path

import pytest

from asrattn.data import manifest
from asrattn.data.manifest import Utterance
from asrattn.errors import DataError
from data_prep.__main__ import main


def prepare(root: Path, *flags: str, corpus: str = "folder", shares: bool = True) -> list[Utterance]:
    """All utterances of DEST, which is next to the corpus."""
    none = ["--dev-share", "0", "--test-share", "0"] if shares else []
    assert main([corpus, str(root), str(root.parent / "out"), "--quick", *none, *flags]) == 0
    paths = sorted((root.parent / "out").glob("*.jsonl"))
    return [u for path in paths for u in manifest.read(path)]


def dropped(root: Path) -> list[str]:
    return (root.parent / "out" / "dropped.tsv").read_text(encoding="utf-8").splitlines()[1:]


@pytest.fixture
def recordings(sound, tmp_path: Path) -> Path:
    for n in range(6):
        sound(tmp_path / "rec" / "wavs" / f"LJ001-{n:04}.wav")
    return tmp_path / "rec"


def listed(root: Path, rows: list[str], name: str = "metadata.csv") -> Path:
    path = root / name
    path.write_text("".join(row + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize("flags", [[], ["--audio-column", "1", "--text-column", "3", "--delimiter", "pipe"]])
def test_ljspeech_is_read(recordings: Path, flags: list[str]):
    rows = [f'LJ001-{n:04}|In {n}, "so", it; was|In number {n}, "so", it; was' for n in range(6)]
    listed(recordings, rows)
    found = prepare(recordings, "--table", "metadata.csv", *flags)
    assert [u.id for u in found] == [f"LJ001-{n:04}" for n in range(6)]
    assert found[2].text == 'In number 2, "so", it; was'
    assert {u.speaker for u in found} == {""}
    assert dropped(recordings) == []


def test_without_a_table_its_list_is_named(recordings: Path, capsys):
    listed(recordings, ["LJ001-0000|x|x"])
    assert main(["folder", str(recordings), str(recordings.parent / "out")]) == 1
    told = capsys.readouterr().err
    assert "no recording has a .txt of the same name next to it, but there is metadata.csv" in told
    assert f"--table {recordings}/metadata.csv" in told


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("19/198/19-198.trans.txt", "data_prep librispeech"),
        ("wav.scp", "data_prep kaldi"),
        ("train_manifest.json", "data_prep manifest"),
        ("metadata.jsonl", "--table"),
        ("validated.tsv", "data_prep commonvoice"),
    ],
)
def test_other_layouts_are_pointed_to_their_importer(sound, tmp_path: Path, name: str, command: str, capsys):
    sound(tmp_path / "rec" / "19" / "198" / "19-198-0000.flac")
    (tmp_path / "rec" / name).write_text("x y\n")
    assert main(["folder", str(tmp_path / "rec"), str(tmp_path / "out")]) == 1
    assert command in capsys.readouterr().err


@pytest.mark.parametrize(
    "header",
    ["audio,text,speaker", "path;sentence;client_id", "File Name\tTranscript\tSpeaker_ID", "wav|words|spk"],
)
def test_usual_names_of_columns_need_no_option(recordings: Path, header: str):
    delimiter = next(c for c in ",;\t|" if c in header)
    rows = [delimiter.join((f"wavs/LJ001-{n:04}.wav", f"say {n}", f"s{n % 2}")) for n in range(6)]
    listed(recordings, [header, *rows])
    found = prepare(recordings, "--table", "metadata.csv")
    assert [(u.text, u.speaker) for u in found[:2]] == [("say 0", "s0"), ("say 1", "s1")]


def test_a_column_of_splits_is_used(recordings: Path):
    listed(recordings, ["path,text,split", *(f"LJ001-{n:04},x,{'test' if n else 'train'}" for n in range(6))])
    assert len(prepare(recordings, "--table", "metadata.csv")) == 6
    assert len(manifest.read(recordings.parent / "out" / "test.jsonl")) == 5


def test_unknown_columns_name_the_option(recordings: Path, capsys):
    listed(recordings, ["sound,said", "LJ001-0009,x"])
    assert main(["folder", str(recordings), "out", "--table", "metadata.csv"]) == 1
    assert "has no column 'audio'; it has sound, said; name it with --audio-column" in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_unicode_encodings_are_recognised(recordings: Path, encoding: str):
    rows = ["path\ttext", *(f"wavs\\LJ001-{n:04}.wav\tcafé {n}" for n in range(6))]
    (recordings / "list.txt").write_bytes("\r\n".join(rows).encode(encoding))
    found = prepare(recordings, "--table", "list.txt")
    assert [u.text for u in found] == [f"café {n}" for n in range(6)]


def test_another_encoding_is_named_with_its_remedy(recordings: Path, capsys):
    rows = ["path;text", *(f"LJ001-{n:04};café {n}" for n in range(6))]
    (recordings / "list.csv").write_bytes("\n".join(rows).encode("cp1252"))
    arguments = ["folder", str(recordings), str(recordings.parent / "out"), "--table", "list.csv"]
    assert main(arguments) == 1
    told = capsys.readouterr().err
    assert "list.csv: is not UTF-8 text (line 2 and 5 more); save it as UTF-8" in told
    assert "--encoding cp1252" in told
    assert [u.text for u in prepare(recordings, "--table", "list.csv", "--encoding", "cp1252")][1] == "café 1"


def test_a_line_of_another_encoding_costs_itself_alone(recordings: Path):
    rows = ["path;text", *(f"LJ001-{n:04};café {n}" for n in range(6))]
    lines = [row.encode() for row in rows]
    lines[3] = rows[3].encode("latin-1")
    (recordings / "list.csv").write_bytes(b"\n".join(lines))
    assert len(prepare(recordings, "--table", "list.csv")) == 5
    assert "list.csv:4: its transcript is not UTF-8 text" in dropped(recordings)[0]


@pytest.mark.parametrize(
    "name",
    [
        "wavs/LJ001-0003.wav",
        "wavs\\LJ001-0003.wav",
        ".\\wavs\\LJ001-0003.wav",
        " LJ001-0003 ",
        "LJ001-0003.wav",
        "wavs/LJ001-0003",
        "WAVS/lj001-0003.WAV",
        "C:\\Users\\me\\wavs\\LJ001-0003.wav",
        "/mnt/elsewhere/wavs/LJ001-0003.wav",
    ],
)
def test_paths_as_other_machines_write_them(recordings: Path, name: str):
    if name.startswith("WAVS"):
        name = name.replace("WAVS", "wavs")
    listed(recordings, ["path,text", f"{name},x", "LJ001-0000,y"])
    found = prepare(recordings, "--table", "metadata.csv")
    assert [Path(u.audio).name for u in found] == ["LJ001-0003.wav", "LJ001-0000.wav"]


def test_composed_and_decomposed_names_are_one(sound, tmp_path: Path):
    sound(tmp_path / "rec" / "cafe\u0301.wav")
    listed(tmp_path / "rec", ["path,text", "caf\u00e9.wav,x", "none.wav,x"])
    assert len(prepare(tmp_path / "rec", "--table", "metadata.csv")) == 1
    assert "metadata.csv:3: " in dropped(tmp_path / "rec")[0]


def test_a_table_of_json_lines(recordings: Path):
    rows = [{"file_name": f"wavs/LJ001-{n:04}.wav", "transcription": f"say {n}"} for n in range(6)]
    lines = [json.dumps(row) for row in rows]
    lines[2] = lines[2][:-5]
    listed(recordings, lines, "metadata.jsonl")
    assert len(prepare(recordings, "--table", "metadata.jsonl")) == 5
    assert "metadata.jsonl:3: is no JSON object" in dropped(recordings)[0]


def test_spreadsheets_themselves_are_told(recordings: Path, capsys):
    (recordings / "list.xlsx").write_bytes(b"PK\x03\x04")
    assert main(["folder", str(recordings), "out", "--table", "list.xlsx"]) == 1
    assert ".xlsx files are not read; save it as csv" in capsys.readouterr().err


def test_common_voice_of_a_small_language(sound, tmp_path: Path, caplog):
    root = tmp_path / "xx"
    header = "client_id\tpath\tsentence\tage"
    rows = [f"s{n % 5}\tc{n}.mp3\tSay {n}.\t" for n in range(20)]
    for n in range(20):
        sound(root / "clips" / f"c{n}.mp3")
    rows[7] = "s1\tc7.mp3\tSay\t7.\t"
    listed(root, [header, *rows], "train.tsv")
    listed(root, [header], "dev.tsv")
    with caplog.at_level(logging.WARNING):
        assert len(prepare(root, corpus="commonvoice", shares=False)) == 19
    assert "dev.tsv: holds no row below its header" in caplog.text
    assert "test.tsv: does not exist" in caplog.text
    assert "no dev.jsonl: nothing is in that split; --dev-share 0.1 holds out" in caplog.text
    assert "train.tsv:9: has 5 columns, the table has 4" in dropped(root)[0]
    prepare(root, "--dev-share", "0.2", "--test-share", "0.2", corpus="commonvoice", shares=False)
    splits = [manifest.read(tmp_path / "out" / f"{name}.jsonl") for name in ("train", "dev", "test")]
    speakers = [{u.speaker for u in split} for split in splits]
    assert sum(map(len, speakers)) == len(set.union(*speakers)) == 5


def test_common_voice_without_train(sound, tmp_path: Path, capsys):
    root = tmp_path / "xx"
    header = "client_id\tpath\tsentence"
    for n in range(9):
        sound(root / "clips" / f"c{n}.mp3")
    listed(root, [header, *(f"s{n % 4}\tc{n}.mp3\tSay {n}." for n in range(9))], "validated.tsv")
    listed(root, [header, "s0\tc0.mp3\tSay 0."], "test.tsv")
    assert main(["commonvoice", str(root), str(tmp_path / "out")]) == 1
    assert "train.tsv: does not exist; train on another list, for example with --train validated" in (
        capsys.readouterr().err
    )
    prepare(root, "--train", "validated", corpus="commonvoice", shares=False)
    train = manifest.read(tmp_path / "out" / "train.jsonl")
    assert {u.speaker for u in train} == {"s1", "s2", "s3"}


def test_common_voice_with_other_columns_names_the_option(sound, tmp_path: Path):
    from data_prep import commonvoice

    sound(tmp_path / "clips" / "a.mp3")
    listed(tmp_path, ["audio_file\ttranscription", "a.mp3\tx"], "train.tsv")
    with pytest.raises(DataError, match=r"has no column 'path'.*--audio-column NAME --text-column NAME"):
        commonvoice.prepare(tmp_path, tmp_path / "out")
