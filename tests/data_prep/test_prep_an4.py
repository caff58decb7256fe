"""AN4 in its two published layouts, and the real one."""

import io
import tarfile
from pathlib import Path

import pytest

from asrattn.data import manifest
from asrattn.errors import DataError
from data_prep import an4

SPEAKERS = ("fash", "fbbh", "mblb", "mcen")


def _published(root: Path, sound, suffix: str) -> Path:
    """`root`/etc and `root`/wav as published: sentence marks in train, none in test."""
    for name, folder, speakers in (("train", "an4_clstk", SPEAKERS), ("test", "an4test_clstk", ("fcaw",))):
        stems = [f"{folder}/{s}/an{n}-{s}-b" for s in speakers for n in (1, 2)]
        for stem in stems:
            sound(root / "wav" / f"{stem}{suffix}")
        mark = ("<s> ", " </s>") if name == "train" else ("", "")
        lines = [f"{mark[0]}YES (2){mark[1]} ({Path(stem).name})\n" for stem in stems]
        (root / "etc").mkdir(exist_ok=True)
        (root / "etc" / f"an4_{name}.fileids").write_text("".join(f"{stem}\n" for stem in stems))
        (root / "etc" / f"an4_{name}.transcription").write_text("".join(lines))
    return root


def _archive(root: Path, path: Path) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        tar.add(root, "an4")
    return path


def _check(paths: dict[str, Path]) -> None:
    splits = {name: manifest.read(path) for name, path in paths.items()}
    assert {name: len(utterances) for name, utterances in splits.items()} == {"train": 6, "dev": 2, "test": 2}
    speakers = {name: {u.speaker for u in utterances} for name, utterances in splits.items()}
    assert speakers["train"] | speakers["dev"] == set(SPEAKERS)
    assert not speakers["train"] & speakers["dev"]
    assert speakers["test"] == {"fcaw"}
    for utterance in (u for utterances in splits.values() for u in utterances):
        assert utterance.text == "YES (2)"
        assert Path(utterance.audio).exists()
        assert utterance.seconds == pytest.approx(0.1)


def test_the_wav_layout(sound, tmp_path: Path):
    root = _published(tmp_path / "an4", sound, ".wav")
    _check(an4.prepare(root, tmp_path / "out", dev_speakers=1))
    _check(an4.prepare(tmp_path, tmp_path / "out", dev_speakers=1))


def test_the_sphere_archive_and_its_folder(sound, tmp_path: Path):
    root = _published(tmp_path / "an4", sound, ".sph")
    _check(an4.prepare(root, tmp_path / "out", dev_speakers=1))
    archive = _archive(root, tmp_path / "an4_sphere.tar.gz")
    paths = an4.prepare(archive, tmp_path / "unpacked", dev_speakers=1)
    _check(paths)
    assert (tmp_path / "unpacked" / "an4" / "wav" / "an4_clstk" / "fash" / "an1-fash-b.sph").is_file()
    moved = (tmp_path / "unpacked").rename(tmp_path / "moved")
    _check({name: moved / path.name for name, path in paths.items()})


@pytest.mark.parametrize("name", ["../outside.txt", "/tmp/outside.txt", "an4/../../outside.txt"])
def test_nothing_is_unpacked_outside(tmp_path: Path, name: str):
    with tarfile.open(tmp_path / "bad.tar.gz", "w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.size = 4
        tar.addfile(member, io.BytesIO(b"evil"))
    with pytest.raises(DataError, match="would lie outside"):
        an4.prepare(tmp_path / "bad.tar.gz", tmp_path / "a" / "out")
    assert not list(tmp_path.rglob("outside.txt"))


def test_links_in_the_archive_are_not_followed(sound, tmp_path: Path):
    root = _published(tmp_path / "an4", sound, ".sph")
    victim = root / "wav" / "an4_clstk" / "fash" / "an1-fash-b.sph"
    victim.unlink()
    victim.symlink_to("/etc/passwd")
    an4.prepare(_archive(root, tmp_path / "links.tar.gz"), tmp_path / "out", dev_speakers=1)
    assert not (tmp_path / "out" / "an4" / "wav" / "an4_clstk" / "fash" / "an1-fash-b.sph").exists()
    assert "an1-fash-b" in (tmp_path / "out" / "dropped.tsv").read_text()


def test_a_cut_archive_is_told(sound, tmp_path: Path):
    archive = _archive(_published(tmp_path / "an4", sound, ".sph"), tmp_path / "an4.tar.gz")
    archive.write_bytes(archive.read_bytes()[:2000])
    with pytest.raises(DataError, match="is no whole tar archive"):
        an4.prepare(archive, tmp_path / "out")
    archive.write_text("no archive")
    with pytest.raises(DataError, match="is no whole tar archive"):
        an4.prepare(archive, tmp_path / "out")


def test_lists_that_disagree_cost_only_the_lines_concerned(sound, tmp_path: Path):
    root = _published(tmp_path / "an4", sound, ".wav")
    path = root / "etc" / "an4_train.transcription"
    path.write_text(path.read_text().replace("(an1-fash-b)", "(an9-fash-b)"))
    paths = an4.prepare(root, tmp_path / "out", dev_speakers=0)
    assert list(paths) == ["train", "test"]
    assert len(manifest.read(paths["train"])) == 7
    dropped = (tmp_path / "out" / "dropped.tsv").read_text()
    assert "an1-fash-b\t" in dropped
    assert "an4_train.transcription has no line for it" in dropped
    assert "an9-fash-b\t" in dropped
    assert "an4_train.fileids does not name its audio" in dropped


@pytest.mark.parametrize(
    ("line", "message"),
    [("<s> YES </s>\n", "does not end with an id"), ("NO (an1-fash-b)\n", "an1-fash-b has a line already")],
)
def test_a_damaged_line_of_the_transcription_is_dropped(sound, tmp_path: Path, line: str, message: str):
    root = _published(tmp_path / "an4", sound, ".wav")
    with (root / "etc" / "an4_train.transcription").open("a") as file:
        file.write(line)
    paths = an4.prepare(root, tmp_path / "out", dev_speakers=1)
    assert sum(len(manifest.read(path)) for path in paths.values()) == 10
    assert f"an4_train.transcription:9: {message}" in (tmp_path / "out" / "dropped.tsv").read_text()


def test_a_missing_list_is_told(sound, tmp_path: Path):
    root = _published(tmp_path / "an4", sound, ".wav")
    (root / "etc" / "an4_test.fileids").unlink()
    with pytest.raises(DataError, match=r"an4_test\.fileids: does not exist"):
        an4.prepare(root, tmp_path / "out")
    with pytest.raises(DataError, match="has no etc/"):
        an4.prepare(tmp_path / "an4" / "wav", tmp_path / "out")


def test_the_real_corpus(shared_data: Path, tmp_path: Path):
    splits = {name: manifest.read(path) for name, path in an4.prepare(shared_data / "an4", tmp_path).items()}
    speakers = {name: {u.speaker for u in utterances} for name, utterances in splits.items()}
    assert {name: len(found) for name, found in speakers.items()} == {"train": 68, "dev": 6, "test": 10}
    assert not speakers["train"] & speakers["dev"]
    assert len(splits["train"]) + len(splits["dev"]) == 948
    assert len(splits["test"]) == 130
    assert sum(len(u.text.split()) for u in splits["test"]) == 773
    assert sum(u.seconds for u in splits["train"] + splits["dev"]) / 60 == pytest.approx(42.4, abs=0.1)
    assert not any(mark in u.text for us in splits.values() for u in us for mark in "<>()")
    assert (tmp_path / "dropped.tsv").read_text().count("\n") == 1
