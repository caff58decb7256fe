"""The SNR of a sound, from the sound alone."""

import numpy as np
import pytest

from asrattn.audio import snr

RATE = 8000


def bursts(ratio: float, seconds: float = 6.0) -> np.ndarray:
    """Tones with pauses between, in white noise so many dB below the tones."""
    time = np.arange(int(seconds * RATE)) / RATE
    tone = np.sin(2 * np.pi * 440 * time) * (time % 1.0 < 0.5) * np.sqrt(2)  # of power 1
    noise = np.random.default_rng(0).normal(0, 10 ** (-ratio / 20), len(time))
    return (0.1 * (tone + noise)).astype(np.float32)


@pytest.mark.parametrize("ratio", [5.0, 10.0, 20.0, 30.0])
def test_it_is_near_the_true_one(ratio: float) -> None:
    """Percentiles lie at the edges of what is loud and quiet, so a little above."""
    found = snr.estimate([bursts(ratio)], RATE)
    assert found == pytest.approx(ratio + 1, abs=2)


def test_loudness_plays_no_part_and_parts_are_one_sound() -> None:
    wave = bursts(15.0)
    whole = snr.estimate([wave], RATE)
    assert snr.estimate([0.1 * wave], RATE) == pytest.approx(whole, abs=0.01)
    assert snr.estimate([wave[:16000], wave[16000:]], RATE) == pytest.approx(whole, abs=0.2)


def test_the_ends_of_the_scale() -> None:
    assert snr.estimate([np.zeros(RATE, np.float32)], RATE) == snr.MIN_SNR_DB
    assert snr.estimate([np.r_[np.zeros(RATE), np.ones(RATE)]], RATE) == snr.MAX_SNR_DB
    assert snr.estimate([np.zeros(10, np.float32)], RATE) is None
    assert snr.estimate([], RATE) is None
