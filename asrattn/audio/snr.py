"""Signal-to-noise ratio, estimated from the audio alone."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from asrattn.audio.interface import Wave

FRAME_SECONDS = 0.02  # seconds
LOUD_PERCENTILE, QUIET_PERCENTILE = (
    95,
    10,
)  # percentiles of the frames' power: speech with noise, and noise alone
MIN_SNR_DB, MAX_SNR_DB = -10.0, 60.0  # dB
_SILENCE_POWER = 1e-10  # power: -100 dB of full scale, below a 16-bit sample's last bit


def estimate(waves: Iterable[Wave], rate: int) -> float | None:
    """dB from FLOOR to CEILING, of a wave in one or several parts (S,); None where it has no whole frame.

    The power of the loud frames, less that of the quiet ones, over that of the quiet ones, as NIST's stnr goes by
    percentiles of a histogram. It assumes pauses in the speech and stationary noise; it compares
    utterances of one corpus, and is no measurement.
    """
    parts = [_powers(wave, round(FRAME_SECONDS * rate)) for wave in waves]
    powers = np.concatenate([np.zeros(0), *parts])
    if not len(powers):
        return None
    loud, quiet = np.percentile(powers, [LOUD_PERCENTILE, QUIET_PERCENTILE]) + _SILENCE_POWER
    ratio = max((loud - quiet) / quiet, 1e-9)
    return float(np.clip(10 * np.log10(ratio), MIN_SNR_DB, MAX_SNR_DB))


def _powers(wave: Wave, size: int) -> NDArray[np.float64]:
    frames = wave[: len(wave) // size * size].reshape(-1, size).astype(np.float64)
    powers: NDArray[np.float64] = np.square(frames).mean(1)
    return powers
