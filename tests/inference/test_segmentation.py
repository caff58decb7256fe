"""Long sounds in pieces: nothing lost, cut where it is quiet."""

from pathlib import Path

import numpy as np
import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st

from asrattn import audio
from asrattn.errors import AudioError
from asrattn.inference import segmentation
from asrattn.inference.segmentation import AudioRegion


def pieces(path: Path, *where: float, rate: int = tiny.RATE, longest: float = 3.0) -> list[np.ndarray]:
    return [piece.wave for piece in segmentation.read_segments(AudioRegion("x", path, *where), rate, longest)]


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.sound(tmp_path_factory.mktemp("sounds") / "long.wav", 31.7)


def test_a_short_file_is_one_piece(tmp_path: Path) -> None:
    path = tiny.sound(tmp_path / "a.wav", 2.9)
    (piece,) = pieces(path)
    np.testing.assert_array_equal(piece, audio.read(path, tiny.RATE))


def test_joined_they_are_the_file(long: Path) -> None:
    found = pieces(long)
    np.testing.assert_array_equal(np.concatenate(found), audio.read(long, tiny.RATE))
    assert len(found) >= 11
    assert all(0.75 * tiny.RATE <= len(piece) <= 3 * tiny.RATE for piece in found)


@given(seconds=st.floats(0.1, 12.0), longest=st.floats(1.0, 5.0))
def test_nothing_is_lost_whatever_the_lengths(
    tmp_path_factory: pytest.TempPathFactory, seconds: float, longest: float
) -> None:
    path = tiny.sound(tmp_path_factory.mktemp("sounds") / "a.wav", seconds)
    found = pieces(path, longest=longest)
    np.testing.assert_array_equal(np.concatenate(found), audio.read(path, tiny.RATE))
    assert max(map(len, found)) <= longest * tiny.RATE + 1
    assert min(map(len, found)) >= min(seconds, longest / 4) * tiny.RATE - 2


def test_a_stretch_of_a_long_file(long: Path) -> None:
    whole = audio.read(long, tiny.RATE)
    found = np.concatenate(pieces(long, 5.0, 10.0))
    np.testing.assert_array_equal(found, whole[5 * tiny.RATE : 15 * tiny.RATE])


@pytest.mark.parametrize("rate", [8000, 11025, 16000])
def test_at_another_rate_nothing_is_lost_either(long: Path, rate: int) -> None:
    found = pieces(long, rate=rate)
    assert sum(map(len, found)) == pytest.approx(31.7 * rate, abs=len(found))


def test_cuts_lie_in_the_pauses(tmp_path: Path) -> None:
    loud = 0.2 + 0.15 * np.sin(np.arange(20 * tiny.RATE) / 800)  # what never changes would be taken for noise
    wave = loud * np.random.default_rng(0).standard_normal(20 * tiny.RATE).clip(-1, 1)
    pauses = [2.3, 4.6, 6.7, 8.9, 11.2, 13.5, 15.8, 17.9]
    for pause in pauses:
        wave[round((pause - 0.15) * tiny.RATE) : round((pause + 0.15) * tiny.RATE)] *= 0.01
    audio.write(tmp_path / "a.wav", wave.astype(np.float32), tiny.RATE)
    cuts = np.cumsum([len(piece) for piece in pieces(tmp_path / "a.wav")])[:-1] / tiny.RATE
    np.testing.assert_allclose(cuts, pauses, atol=0.1)


@pytest.mark.parametrize(("before", "silence", "after"), [(4.0, 6.0, 1.0), (0.0, 9.0, 2.0), (2.5, 20.0, 0.0)])
def test_long_silence_is_a_piece_of_its_own(
    tmp_path: Path, before: float, silence: float, after: float
) -> None:
    quiet = 1e-3 * np.random.default_rng(0).standard_normal(round(silence * tiny.RATE)).astype(np.float32)
    said = [tiny.wave(seconds, seed=7) + 0.05 for seconds in (before, after)]
    whole = np.concatenate([said[0], quiet, said[1]])
    audio.write(tmp_path / "a.wav", whole, tiny.RATE)
    found = list(segmentation.read_segments(AudioRegion("x", tmp_path / "a.wav"), tiny.RATE, 5.0))
    joined = np.concatenate([piece.wave for piece in found])
    np.testing.assert_allclose(joined, whole, atol=1e-4)
    spoken = sum(len(piece.wave) for piece in found if piece.has_speech) / tiny.RATE
    assert (
        before + after
        <= spoken + 0.01
        <= before + after + segmentation.MIN_SILENCE_SECONDS + 2 * segmentation.SPEECH_PAD_SECONDS
    )
    assert any(not piece.has_speech for piece in found)


def test_bad_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="does not exist"):
        pieces(tmp_path / "absent.wav")
