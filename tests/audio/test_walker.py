"""The walk of folders: links, loops, hidden files, odd names."""

import os
import unicodedata
from pathlib import Path

import pytest
import soundfile

from asrattn import audio
from asrattn.audio import walker
from asrattn.errors import AudioError


def names(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in walker.find_audio(folder)[0]]


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


def test_links_are_followed_and_each_folder_is_entered_once(tmp_path: Path):
    touch(tmp_path / "elsewhere" / "s1" / "a.wav")
    root = tmp_path / "rec"
    touch(root / "z" / "b.wav")
    (root / "s1").symlink_to(tmp_path / "elsewhere" / "s1")
    (root / "a-link-to-z").symlink_to("z")
    (root / "z" / "up").symlink_to("..")
    (root / "z" / "up-too").symlink_to(tmp_path)
    assert names(root) == ["s1/a.wav", "z/b.wav"]


def test_a_link_to_a_file_and_a_broken_one(tmp_path: Path):
    (tmp_path / "a.wav").symlink_to(touch(tmp_path / "out" / "x.bin"))
    (tmp_path / "gone.wav").symlink_to("nowhere.wav")
    (tmp_path / "self.wav").symlink_to("self.wav")
    assert names(tmp_path) == ["a.wav", "gone.wav", "self.wav"]
    with pytest.raises(AudioError, match=r"gone.wav: is a link to what is not there"):
        audio.info(tmp_path / "gone.wav")
    with pytest.raises(AudioError, match=r"self.wav"):
        audio.info(tmp_path / "self.wav")


def test_what_is_passed_over_is_counted(tmp_path: Path):
    for name in (
        "a.wav",
        "._a.wav",
        ".hidden/b.wav",
        "__MACOSX/c.wav",
        "x/@eaDir/d.wav",
        "e.xyz",
        "f",
        "g.txt",
        "h.WAV",
    ):
        touch(tmp_path / name)
    os.mkfifo(tmp_path / "pipe.wav")
    files, passed_over = walker.find_audio(tmp_path)
    assert [path.name for path in files] == ["a.wav", "h.WAV"]
    assert passed_over == (
        "1 .xyz, 1 files without a suffix, 1 folders @eaDir, 1 folders __MACOSX, 1 hidden files, 1 hidden folders, "
        "1 pipes or devices"
    )


@pytest.mark.parametrize("name", ["a\nb", "caf\udce9", "-rf", "[1] *?", "x" * 251, "e\u0301", "\u202egnp"])
def test_names_of_any_kind_are_found(tmp_path: Path, name: str):
    touch(tmp_path / f"{name}.wav")
    assert [path.name for path in walker.find_audio(tmp_path)[0]] == [f"{name}.wav"]
    shown = walker.id_below(tmp_path / f"{name}.wav", tmp_path)
    shown.encode()
    assert "\n" not in shown
    assert "\u202e" not in shown


def test_a_deep_folder_is_walked(tmp_path: Path):
    folder = tmp_path
    for _ in range(300):
        folder = folder / "d"
    touch(folder / "a.wav")
    assert len(walker.find_audio(tmp_path)[0]) == 1


@pytest.mark.parametrize(("stored", "asked"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_composed_and_decomposed_names_are_the_same_file(tmp_path: Path, stored: str, asked: str):
    name = "crème-brûlée.wav"
    soundfile.write(tmp_path / unicodedata.normalize(stored, name), [0.1] * 1600, 16000)
    assert audio.info(tmp_path / unicodedata.normalize(asked, name)).seconds == 0.1


def test_every_suffix_is_one_that_a_reader_knows():
    assert {
        ".wav",
        ".mp3",
        ".m4a",
        ".amr",
        ".wma",
        ".3gp",
        ".webm",
        ".aifc",
        ".rf64",
        ".mp2",
    } <= audio.EXTENSIONS
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in audio.EXTENSIONS)
