"""Configuration of augmentation."""

import math
from dataclasses import dataclass

from asrattn.config import check


@dataclass(frozen=True)
class AugmentConfig:
    """How much of each; 0 switches a part off. The defaults suit log-mel features.

    speed: the wave is resampled to play up to this fraction slower or faster (0.1 is ±10 %).
    silence: seconds; before and behind each utterance up to so much is added, for recordings that begin and end with
    the first and the last word: a model that has never read silence invents words there.
    noise: the probability that an utterance gets noise, at a ratio drawn from `snr` (dB), out of the audio
    files below `noise_folder`; without a folder it is coloured noise, from white to brown.
    stretch: time is stretched or squeezed by up to this fraction, on the frames.
    vtlp: the feature axis is warped by up to this fraction, like a longer or shorter vocal tract; this needs
    a frequency axis, so 0 for mfcc.
    equalizer: the largest gain of a random curve over the feature axis, in deviations of the features.
    Masks (SpecAugment, https://arxiv.org/abs/1904.08779): each has a width drawn from 0 to its limit; the
    time masks of an utterance add up to at most `time_fraction` of it.
    warmup: the share of the training over which masks, warp and equalizer grow from nothing to the above. On
    little data a model that first sees whole utterances finds the alignment in half the time.
    """

    speed: float = 0.0
    silence: float = 0.0
    noise: float = 0.2
    noise_folder: str | None = None
    snr: tuple[float, float] = (5.0, 35.0)
    stretch: float = 0.12
    vtlp: float = 0.10
    equalizer: float = 0.4
    frequency_masks: int = 2
    frequency_width: int = 20
    time_masks: int = 6
    time_width: int = 14
    time_fraction: float = 0.2
    warmup: float = 0.0

    @classmethod
    def off(cls) -> "AugmentConfig":
        """No augmentation."""
        return cls(noise=0, stretch=0, vtlp=0, equalizer=0, frequency_masks=0, time_masks=0)

    @property
    def is_off(self) -> bool:
        masked = (self.frequency_masks and self.frequency_width) or (self.time_masks and self.time_width)
        return not (
            self.speed or self.silence or self.noise or self.stretch or self.vtlp or self.equalizer or masked
        )

    @property
    def min_length_factor(self) -> float:
        """The factor by which an utterance may be shortened."""
        return (1 - self.stretch) / (1 + self.speed)

    def __post_init__(self) -> None:
        limits = {
            "speed": 0.5,
            "silence": 10.0,
            "noise": 1.0,
            "stretch": 0.5,
            "vtlp": 0.3,
            "time_fraction": 1.0,
            "warmup": 1.0,
        }
        for name, limit in limits.items():
            value = getattr(self, name)
            check(0 <= value <= limit, f"augment.{name}: {value} must lie between 0 and {limit}")
        for name in ("equalizer", "frequency_masks", "frequency_width", "time_masks", "time_width"):
            value = getattr(self, name)
            check(0 <= value < math.inf, f"augment.{name}: {value} must not be negative")
        ordered = len(self.snr) == 2 and -math.inf < self.snr[0] <= self.snr[1] < math.inf
        check(
            ordered, f"augment.snr: {self.snr} must be the lowest and the highest ratio in dB, such as 5,35"
        )

    def check_fits(self, kind: str) -> None:
        """Raises ConfigError for what makes no sense on features of this type: a wave has no frames to stretch and no
        frequency axis, two frames side by side have no single one."""
        settings = {
            "whisper": ("silence",),  # it knows silence, and ends at 30 s
            "wave": ("stretch", "vtlp", "equalizer", "frequency_masks", "time_masks"),
            "seamless": ("vtlp", "equalizer", "frequency_masks"),
        }.get(kind, ())
        wrong = [f"--set augment.{name}=0" for name in settings if getattr(self, name)]
        check(not wrong, f"augment: does not suit the features {kind}; switch off with {' '.join(wrong)}")

    def strength(self, progress: float) -> float:
        """What is applied at `progress` of the training (0 to 1), as a share of the whole."""
        return min(1.0, progress / self.warmup) if self.warmup else 1.0
