"""Downmixing, and what the samples of a file show: channels that cancel or differ, values beyond ±1."""

from dataclasses import dataclass

import numpy as np

from asrattn.audio.interface import Wave

Channel = int | None  # counted from 1; None: the mean of all
FULL_SCALE = 1.0 + 1e-6
MAX_OVERSHOOT = 2.0  # of full scale: lossy codings pass it a little, samples of an integer range by far
MAX_OVERSHOOT_FRACTION = 0.001  # share of samples beyond full scale that a lossy coding makes
OVERSHOOT_NOTE = "samples beyond ±1"
CANCELLED_NOTE = "its channels cancel each other; use one of them, such as --channel 1"
MIXED_NOTE = (
    "its channels differ and are averaged; if each holds a speaker, split them (transcribe: --channel each)"
)
_CANCELLED = 0.01  # power of the mean, of that of the channels: noise of two microphones keeps a half
_SAME = 1e-4  # power of the difference of channels, of theirs, up to which they hold the same


@dataclass
class SampleStats:
    """Of what was read of a file: samples, those beyond ±1, their peak; energy of the channels and of their mean."""

    samples: int = 0
    beyond: int = 0
    peak: float = 0.0
    channel_energy: float = 0.0
    mean_energy: float = 0.0

    def add(self, wave: Wave) -> None:
        """The samples (S,) as they are used."""
        self.samples += len(wave)
        peak = float(max(wave.max(), -wave.min(), 0.0)) if len(wave) else 0.0
        self.peak = max(self.peak, peak)
        if peak > FULL_SCALE:
            self.beyond += int((np.abs(wave) > FULL_SCALE).sum())

    def add_mixed(self, block: Wave, mean: Wave) -> None:
        """The frames (n, channels) and their mean (n,)."""
        self.channel_energy += float(np.square(block, dtype=np.float64).mean(axis=1).sum())
        self.mean_energy += float(np.square(mean, dtype=np.float64).sum())

    @property
    def overshoots(self) -> bool:
        """Whether more is beyond ±1 than a lossy coding brings there."""
        return self.peak > MAX_OVERSHOOT or self.beyond > MAX_OVERSHOOT_FRACTION * self.samples

    def notes(self) -> tuple[str, ...]:
        found = []
        if self.overshoots:
            hint = "an integer range? divide them by its maximum" if self.peak > 100 else "scale them down"
            found.append(f"{OVERSHOOT_NOTE}; {hint} ({self.beyond} of {self.samples}, up to {self.peak:g})")
        if self.mean_energy < _CANCELLED * self.channel_energy:
            found.append(CANCELLED_NOTE)
        elif self.channel_energy - self.mean_energy > _SAME * self.channel_energy:
            found.append(MIXED_NOTE)
        return tuple(found)


def select(block: Wave, channel: Channel, stats: SampleStats) -> Wave:
    """(n, channels) -> (n,): one of the channels, or their mean."""
    if channel is not None or block.shape[1] == 1:
        return block[:, (channel or 1) - 1]
    with np.errstate(all="ignore"):
        mean: Wave = block.mean(axis=1)
        stats.add_mixed(block, mean)
    return mean
