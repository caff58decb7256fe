"""One's own recordings."""

from pathlib import Path

import pytest

from asrattn.data import manifest
from asrattn.errors import DataError
from data_prep import folder
from data_prep.build import PrepOptions
from data_prep.folder import TableColumns


def _beside(root: Path, sound, names: list[str]) -> Path:
    for name in names:
        sound(root / f"{name}.wav").with_suffix(".txt").write_text(f"Say {name}\n", encoding="utf-8")
    return root


def _read(paths: dict[str, Path]) -> dict[str, list[manifest.Utterance]]:
    return {name: manifest.read(path) for name, path in paths.items()}


def test_texts_beside_two_hundred_recordings_of_one_person(sound, tmp_path: Path):
    root = _beside(tmp_path / "rec", sound, [f"{n:03d}" for n in range(200)])
    splits = _read(folder.prepare(root, tmp_path / "out"))
    assert {name: len(us) for name, us in splits.items()} == {"train": 160, "dev": 20, "test": 20}
    assert all(u.text == f"Say {u.id}" and u.speaker == "" for us in splits.values() for u in us)
    again = _read(folder.prepare(root, tmp_path / "out"))
    assert again == splits


def test_folders_are_speakers_and_are_kept_apart(sound, tmp_path: Path):
    root = _beside(tmp_path, sound, [f"{who}/{n}" for who in ("ann", "bob", "cy", "dee") for n in range(3)])
    splits = _read(folder.prepare(root, root))
    speakers = [{u.speaker for u in us} for us in splits.values()]
    assert sorted(map(len, speakers)) == [1, 1, 2]
    assert set.union(*speakers) == {"ann", "bob", "cy", "dee"}


def test_folders_named_as_splits_are_the_splits(sound, tmp_path: Path):
    names = [*(f"train/{n}" for n in range(20)), "valid/ann/1", "test/2"]
    splits = _read(folder.prepare(_beside(tmp_path, sound, names), tmp_path / "out"))
    assert {name: len(us) for name, us in splits.items()} == {"train": 20, "dev": 1, "test": 1}
    assert splits["dev"][0].speaker == "ann"
    assert splits["train"][0].speaker == ""


def test_what_lacks_its_partner_is_dropped_by_name(sound, tmp_path: Path):
    root = _beside(tmp_path / "rec", sound, ["a", "b", "c", "a.b"])
    sound(root / "silent.flac")
    (root / "README.txt").write_text("about these recordings")
    (sound(root / "latin.wav").with_suffix(".TXT")).write_bytes("café".encode("latin-1"))
    splits = _read(folder.prepare(root, tmp_path / "out", dev_share=0, test_share=0))
    assert {u.id: u.text for u in splits["train"]} == {name: f"Say {name}" for name in ("a", "a.b", "b", "c")}
    dropped = (tmp_path / "out" / "dropped.tsv").read_text()
    for words in (
        "no .txt of the same name",
        "README.txt\t",
        "a text without an audio file",
        "latin.TXT: is not UTF-8",
    ):
        assert words in dropped


def test_too_few_are_told(sound, tmp_path: Path):
    root = _beside(tmp_path / "rec", sound, ["a", "b"])
    with pytest.raises(DataError, match="2 usable utterances are too few for train, dev, test"):
        folder.prepare(root, tmp_path / "out")
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="holds no audio file"):
        folder.prepare(tmp_path / "none", tmp_path / "out")


def _table(root: Path, sound, separator: str, suffix: str) -> Path:
    rows = [("file", "said", "who", "part")]
    rows += [
        (f"wav/{n}.wav", f'"{n}, ' if separator == "\t" else f'"{n}, ""yes"""', f"s{n % 3}", "Train")
        for n in range(6)
    ]
    rows += [("wav/6.wav", "dev text", "s7", "validation"), ("wav/7.wav", "test text", "s8", "TEST")]
    for row in rows[1:]:
        sound(root / row[0])
    path = root / f"list{suffix}"
    path.write_text("".join(separator.join(row) + "\n" for row in rows), encoding="utf-8-sig")
    return path


@pytest.mark.parametrize(("separator", "suffix", "text"), [(",", ".csv", '0, "yes"'), ("\t", ".tsv", '"0,')])
def test_a_table_names_columns(sound, tmp_path: Path, separator: str, suffix: str, text: str):
    path = _table(tmp_path / "rec", sound, separator, suffix)
    for where in (path, Path(path.name)):
        listed = TableColumns(where, "file", "said", "who", "part")
        splits = _read(folder.prepare(tmp_path / "rec", tmp_path / "out", table_columns=listed))
        assert {name: len(us) for name, us in splits.items()} == {"train": 6, "dev": 1, "test": 1}
        first = splits["train"][0]
        assert (first.id, first.text, first.speaker) == ("wav/0", text, "s0")


def test_a_table_without_splits_is_split_by_its_speakers(sound, tmp_path: Path):
    path = _table(tmp_path / "rec", sound, ",", ".csv")
    splits = _read(
        folder.prepare(
            tmp_path / "rec", tmp_path / "out", table_columns=TableColumns(path, "file", "said", "who")
        )
    )
    speakers = [{u.speaker for u in us} for us in splits.values()]
    assert sum(map(len, speakers)) == len(set.union(*speakers)) == 5


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("sound,said\na.wav,x\n", "has no column 'audio'; it has sound, said"),
        (
            "file,said,split\na.wav,x,train\n",
            "has no column 'text'; it has file, said, split; .* --text-column",
        ),
        ("audio,text,split\na.wav,x,later\n", "list.csv:2: split 'later' is none of train"),
        ("audio,text,split\na.wav,x\nb.wav,y\n", "list.csv:1: has 3 columns, most rows have 2"),
        ("audio,text,split\n", "holds no row"),
        ('audio,text,split\n"a.wav,x,train\n', "list.csv:2: a quotation mark is opened and not closed"),
    ],
)
def test_a_damaged_table_is_told(tmp_path: Path, content: str, message: str):
    (tmp_path / "list.csv").write_text(content)
    with pytest.raises(DataError, match=message):
        folder.prepare(
            tmp_path, tmp_path / "out", table_columns=TableColumns(tmp_path / "list.csv", split="split")
        )


def test_rows_without_a_sound_are_dropped(sound, tmp_path: Path):
    sound(tmp_path / "a.wav")
    (tmp_path / "list.csv").write_text("audio,text\na.wav,x\n,y\nb.wav,z\n")
    splits = _read(
        folder.prepare(
            tmp_path,
            tmp_path / "out",
            table_columns=TableColumns(Path("list.csv")),
            dev_share=0,
            test_share=0,
        )
    )
    assert [u.id for u in splits["train"]] == ["a"]
    dropped = (tmp_path / "out" / "dropped.tsv").read_text()
    assert "line 3\t" in dropped
    assert "b.wav: does not exist" in dropped


@pytest.mark.slow
def test_a_real_table_with_letters_outside_ascii(shared_data: Path, tmp_path: Path):
    listed = TableColumns(Path("metadata.tsv"), text="sentence", speaker="speaker", split="split")
    splits = _read(folder.prepare(shared_data / "samromur", tmp_path, table_columns=listed))
    assert {name: len(us) for name, us in splits.items()} == {"train": 399, "dev": 50, "test": 50}
    assert "þ" in "".join(u.text for u in splits["train"])


def test_audio_without_texts_is_kept_on_request(sound, tmp_path: Path):
    root = _beside(
        tmp_path / "recordings", sound, [f"ann/{n}" for n in range(10)] + [f"bob/{n}" for n in range(10)]
    )
    for path in root.glob("bob/*.txt"):
        path.unlink()
    kept = _read(folder.prepare(root, tmp_path / "all", PrepOptions(untranscribed=True)))
    texts = {u.id: u.text for rows in kept.values() for u in rows}
    assert len(texts) == 20
    assert [id_ for id_, text in texts.items() if not text] == [
        id_ for id_ in texts if id_.startswith("bob/")
    ]
    assert len([u for rows in _read(folder.prepare(root, tmp_path / "some")).values() for u in rows]) == 10


def test_one_of_two_recordings_of_one_name_is_dropped(sound, tmp_path: Path):
    root = _beside(tmp_path / "rec", sound, ["a", "day1/001", "day2/001"])
    sound(root / "a.mp3")
    splits = _read(folder.prepare(root, tmp_path / "out", dev_share=0, test_share=0))
    assert {u.id: Path(u.audio).name for u in splits["train"]} == {
        "a": "a.wav", "day1/001": "001.wav", "day2/001": "001.wav",
    }  # fmt: skip
    assert "a.mp3\t" in (tmp_path / "out" / "dropped.tsv").read_text()
    assert "a.wav, of the same name, is taken" in (tmp_path / "out" / "dropped.tsv").read_text()


def test_links_hidden_files_and_names_of_any_kind(sound, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    _beside(tmp_path / "far", sound, ["s1/a"])
    root = _beside(tmp_path / "rec", sound, ["b", "line\nbreak", ".Trash-1000/old"])
    sound(root / "caf\udce9.wav").with_suffix(".txt").write_text("coffee")
    (root / "s1").symlink_to(tmp_path / "far" / "s1")
    (root / "loop").symlink_to(root)
    (root / "._b.wav").write_bytes(b"AppleDouble")
    sound(root / "cre\u0300me.wav")
    (root / "cr\u00e8me.txt").write_text("cream")
    splits = _read(folder.prepare(root, tmp_path / "out", dev_share=0, test_share=0))
    found = {u.id: u for u in splits["train"]}
    assert set(found) == {"b", "s1/a", "caf\\xe9", "line\\nbreak", "cre\u0300me"}
    assert found["s1/a"].speaker == "s1"
    assert found["cre\u0300me"].text == "cream"
    assert all(Path(u.audio).exists() for u in found.values())
    assert "passed over: 1 hidden files, 1 hidden folders" in caplog.text
