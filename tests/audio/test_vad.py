"""Where somebody speaks."""

import sys
from pathlib import Path

import numpy as np
import pytest
import tiny

from asrattn import audio
from asrattn.audio import vad
from asrattn.cli import options
from asrattn.errors import ConfigError

RANDOM = np.random.default_rng(0)
HISS = 1e-3 * RANDOM.standard_normal(10 * tiny.RATE).astype(np.float32)


def burst(start: float, end: float) -> np.ndarray:
    wave = HISS.copy()
    span = slice(round(start * tiny.RATE), round(end * tiny.RATE))
    wave[span] += 0.3 * RANDOM.standard_normal(span.stop - span.start)
    return wave


def test_what_is_loud_is_speech() -> None:
    ((start, end),) = vad.energy_vad(burst(2.0, 5.0), tiny.RATE)
    assert (start, end) == pytest.approx((2.0, 5.0), abs=0.03)


@pytest.mark.parametrize("wave", [0 * HISS, HISS, 100 * HISS], ids=["silence", "hiss", "noise"])
def test_what_does_not_change_is_none(wave: np.ndarray) -> None:
    assert vad.energy_vad(wave, tiny.RATE) == []


def test_off_takes_everything_for_speech() -> None:
    assert vad.make_speech_detector("off")(HISS, tiny.RATE) == [(0.0, 10.0)]


def test_levels_are_decibels_of_full_scale() -> None:
    square = np.where(np.arange(8000) % 2, 0.1, -0.1).astype(np.float32)
    np.testing.assert_allclose(vad.levels_db(square, 8000), -20.0, atol=1e-3)


def test_runs() -> None:
    found = vad.find_runs(np.array([True, False, True, True]))
    np.testing.assert_array_equal(found, [[0, 1], [2, 4]])


def test_silero_needs_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "silero_vad", None)
    with pytest.raises(ConfigError, match=r"pip install asrattn\[vad\]"):
        vad.make_speech_detector("silero")


def test_silero_hears_speech_and_no_noise(shared_data: Path) -> None:
    pytest.importorskip("silero_vad", reason="pip install asrattn[vad]")
    find = vad.make_speech_detector("silero")
    said = audio.read(next(shared_data.glob("an4/wav/an4test_clstk/*/an*.wav")), tiny.RATE)
    quiet = np.zeros(2 * tiny.RATE, np.float32)
    spans = find(np.concatenate([quiet, said, quiet]), tiny.RATE)
    assert 1.9 < spans[0][0] < spans[-1][1] < 2.1 + len(said) / tiny.RATE
    assert find(100 * HISS, tiny.RATE) == []


def test_the_command_line_knows_all() -> None:
    assert options.VADS == vad.VAD_KINDS
