"""Common Voice: tsv files and clips."""

from pathlib import Path

import pytest

from asrattn.data import manifest
from asrattn.errors import DataError
from data_prep import commonvoice
from data_prep.build import PrepOptions

HEADER = "client_id\tpath\tsentence\tage\tgender\taccents\n"


def _published(root: Path, sound, rows: dict[str, list[str]]) -> Path:
    (root / "clips").mkdir(parents=True)
    for name in ("train", "dev", "test"):
        (root / f"{name}.tsv").write_text(
            HEADER + "".join(row + "\n" for row in rows[name]), encoding="utf-8"
        )
        for row in rows[name]:
            sound(root / "clips" / row.split("\t")[1])
    return root


ROWS = {
    "train": [
        'x\ta.mp3\t"Quote at the start\t\t\t',
        "x\tb.mp3\tLine\u2028separator, ja.\t\t\t",
        "y\ta.mp3\tagain\t\t\t",
    ],
    "dev": ["\tc.mp3\tWer spricht?\ttwenties\tmale\tus"],
    "test": ["\td.mp3\tNiemand.\t\t\t"],
}


def test_published_splits_and_texts_are_kept(sound, tmp_path: Path):
    paths = commonvoice.prepare(_published(tmp_path / "de", sound, ROWS), tmp_path / "out")
    splits = {name: manifest.read(path) for name, path in paths.items()}
    assert [(u.id, u.text, u.speaker) for u in splits["train"]] == [
        ("a", '"Quote at the start', "x"),
        ("b", "Line separator, ja.", "x"),
    ]
    assert [(u.text, u.speaker) for u in splits["dev"]] == [("Wer spricht?", "")]
    assert Path(splits["test"][0].audio).name == "d.mp3"
    dropped = (tmp_path / "out" / "dropped.tsv").read_text(encoding="utf-8")
    assert "train.tsv:4: id 'a' stands twice" in dropped
    assert "(train.tsv:2) is kept" in dropped
    assert dropped.count("\n") == 2


def test_a_clip_in_two_splits_stays_in_test(sound, tmp_path: Path):
    root = _published(tmp_path / "de", sound, {**ROWS, "test": ROWS["dev"]})
    paths = commonvoice.prepare(root, tmp_path / "out")
    assert list(paths) == ["train", "test"]
    dropped = (tmp_path / "out" / "dropped.tsv").read_text()
    assert "dev.tsv:2: id 'c' stands twice" in dropped


def test_what_is_missing_is_told(sound, tmp_path: Path):
    root = _published(tmp_path / "de", sound, ROWS)
    (root / "test.tsv").write_text("path\ttext\nd.mp3\tx\n")
    with pytest.raises(DataError, match=r"test\.tsv: has no column 'sentence'; it has path, text"):
        commonvoice.prepare(root, tmp_path / "out")
    (root / "train.tsv").unlink()
    with pytest.raises(DataError, match=r"train\.tsv: does not exist"):
        commonvoice.prepare(root, tmp_path / "out")
    with pytest.raises(DataError, match="has no folder clips/"):
        commonvoice.prepare(tmp_path, tmp_path / "out")


def test_the_real_lists(shared_data: Path, tmp_path: Path):
    paths = commonvoice.prepare(shared_data / "commonvoice-en", tmp_path, PrepOptions(quick=True))
    splits = {name: manifest.read(path) for name, path in paths.items()}
    assert {name: len(us) for name, us in splits.items()} == {"train": 2011, "dev": 215, "test": 217}
    assert sum(u.seconds for us in splits.values() for u in us) / 3600 == pytest.approx(3.0, abs=0.1)
    texts = [{u.text for u in us} for us in splits.values()]
    assert not texts[0] & (texts[1] | texts[2])


@pytest.mark.slow
def test_the_real_corpus(shared_data: Path, tmp_path: Path):
    paths = commonvoice.prepare(shared_data / "commonvoice-en", tmp_path, PrepOptions(upper=True))
    assert all(u.text == u.text.upper() for path in paths.values() for u in manifest.read(path))
    assert (tmp_path / "dropped.tsv").read_text().count("\n") == 1
