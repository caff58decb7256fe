"""The made corpus: clear voices, disjoint speakers, the same bytes for the same seed."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from asrattn import audio
from asrattn.data import manifest
from asrattn.errors import DataError
from data_prep import demo, espeak
from data_prep.build import PrepOptions


@pytest.fixture
def small(monkeypatch) -> None:
    """A few utterances are enough for most tests."""
    pytest.importorskip("espeakng_loader")
    monkeypatch.setattr(demo, "UTTERANCES", {"train": 80, "dev": 16, "test": 20, "unseen": 1})


def _bytes(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.usefixtures("small")
def test_speakers_are_disjoint_and_everything_can_be_read(tmp_path: Path):
    splits = {name: manifest.read(path) for name, path in demo.prepare(tmp_path).items()}
    assert {name: len(us) for name, us in splits.items()} == {"train": 80, "dev": 16, "test": 20}
    voices = {name: {u.speaker.split("-")[0] for u in us} for name, us in splits.items()}
    assert {name: len(found) for name, found in voices.items()} == {"train": 37, "dev": 8, "test": 10}
    assert len(set.union(*voices.values())) == 55
    words = {word for u in splits["train"] for word in u.text.split()}
    assert words == set(demo.WORDS)
    assert all(1 <= len(u.text.split()) <= 5 for us in splits.values() for u in us)
    levels = []
    for u in splits["train"][:20]:
        assert audio.info(Path(u.audio)).rate == 16000
        wave = audio.read(Path(u.audio), 16000)
        levels.append(np.abs(wave).max())
        assert np.count_nonzero(wave) > 0.9 * len(wave)
    assert 0.2 < min(levels) < max(levels) <= 1
    assert len((tmp_path / "unseen.txt").read_text().split()) == 5
    assert audio.info(tmp_path / "unseen.wav").seconds > 1
    assert all("unseen" not in u.audio for us in splits.values() for u in us)


@pytest.mark.multi
def test_the_same_seed_makes_the_same_bytes_here_and_in_another_process(tmp_path: Path, monkeypatch):
    pytest.importorskip("espeakng_loader")
    counts = {"train": 30, "dev": 8, "test": 10, "unseen": 1}
    monkeypatch.setattr(demo, "UTTERANCES", counts)
    demo.prepare(tmp_path / "here", PrepOptions(seed=1))
    script = (
        "import sys; from pathlib import Path; from data_prep import demo; from data_prep.build import PrepOptions;"
        f"demo.UTTERANCES = {counts}; demo.prepare(Path(sys.argv[1]), PrepOptions(seed=1))"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "there")], check=True)
    assert len(_bytes(tmp_path / "here")) == 54
    assert _bytes(tmp_path / "here") == _bytes(tmp_path / "there")
    demo.prepare(tmp_path / "other", PrepOptions(seed=2))
    assert (tmp_path / "here" / "unseen.wav").read_bytes() != (tmp_path / "other" / "unseen.wav").read_bytes()


def test_an_opened_library_remembers_nothing_of_the_last_one():
    pytest.importorskip("espeakng_loader")
    takes = []
    for _ in range(2):
        with espeak.open_synthesizer() as speaker:
            takes.append(
                [
                    speaker.synthesize(
                        "six repeat", "en-us", variant, speed=150, pitch=50, gap=0, seed=1
                    ).tobytes()
                    for variant in (*demo.WOMEN, *demo.MEN)
                ]
            )
    assert takes[0] == takes[1]
    assert len(set(takes[0])) == len(takes[0])


@pytest.mark.parametrize(("language", "variant"), [("en-us", "nosuch"), ("xx", "f1"), ("en-us", "")])
def test_an_unknown_voice_is_told_instead_of_another_one_heard(language: str, variant: str):
    pytest.importorskip("espeakng_loader")
    with espeak.open_synthesizer() as speaker, pytest.raises(DataError, match="eSpeak NG"):
        speaker.synthesize("yes", language, variant, speed=150, pitch=50, gap=0, seed=1)


def test_a_long_path_to_the_data_does_no_harm(tmp_path: Path, monkeypatch):
    espeakng_loader = pytest.importorskip("espeakng_loader")
    data = tmp_path / ("x" * 160) / "espeak-ng-data"
    data.parent.mkdir()
    data.symlink_to(espeakng_loader.get_data_path())
    with espeak.open_synthesizer() as speaker:
        near = speaker.synthesize("yes", "en-us", "f2", speed=150, pitch=50, gap=0, seed=1)
    monkeypatch.setattr(espeakng_loader, "get_data_path", lambda: str(data))
    with espeak.open_synthesizer() as speaker:
        far = speaker.synthesize("yes", "en-us", "f2", speed=150, pitch=50, gap=0, seed=1)
    assert np.array_equal(near, far)


def test_without_the_extra_it_says_what_to_install(tmp_path: Path, monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(DataError, match=r"pip install asrattn\[demo\]"):
        demo.prepare(tmp_path)
