"""Configuration of the features: the feature type (log-mel, MFCC, spectrogram, wave), frames, normalisation."""

from dataclasses import dataclass
from typing import Literal, get_args

from asrattn.config import check

# Feature types, computed in extraction.py.
FeatureKind = Literal["log-mel", "mfcc", "spectrogram", "whisper", "wave", "seamless"]
MAX_RATE, MAX_MELS = 400_000, 512  # no microphone records faster
FeatureNormalization = Literal["global", "utterance", "both", "none"]


@dataclass(frozen=True)
class FeatureConfig:
    """What a frame holds. Frequencies in Hz, times in seconds.

    kind: log-mel energies (`mels`), their cosine transform (mfcc, the first `coefficients`), or the log power
    spectrogram; whisper: the log-mel of Whisper (`whisper` below), at most 30 s of it. For pretrained encoders the
    samples themselves (wave), or Kaldi's log-mel energies of two frames side by side (seamless), see `waveform` and
    `seamless`; these two use `rate`, `mels` and `normalize` only.
    high: upper edge of the mel bands, none for half the rate.
    preemphasis: share of the sample before that is subtracted; 0 leaves the wave as it is.
    normalize: `global` subtracts the mean and divides by the deviation of the training set, `utterance`
    subtracts the utterance's own mean, `both` does the one after the other. For wave and seamless `utterance` also
    divides by the utterance's own deviation; these two know only `utterance` and `none`.
    """

    kind: FeatureKind = "log-mel"
    rate: int = 16000
    window: float = 0.025
    hop: float = 0.010
    mels: int = 80
    coefficients: int = 40
    low: float = 20.0
    high: float | None = None
    preemphasis: float = 0.97
    normalize: FeatureNormalization = "both"

    def __post_init__(self) -> None:
        for name, value, known in (
            ("kind", self.kind, FeatureKind),
            ("normalize", self.normalize, FeatureNormalization),
        ):
            names = ", ".join(get_args(known))
            check(value in get_args(known), f"frontend.{name}: {value!r} is unknown; known are {names}")
        check(
            1000 <= self.rate <= MAX_RATE,
            f"frontend.rate: {self.rate} is not a sampling rate; give samples a second, say 16000",
        )
        check(self.hop_samples >= 1, f"frontend.hop: {self.hop} s is less than one sample")
        check(
            self.hop_samples <= self.window_samples <= self.rate,
            f"frontend.window: {self.window} s must be at least the hop of {self.hop} s and at most 1 s",
        )
        check(1 <= self.mels <= MAX_MELS, f"frontend.mels: {self.mels} must lie between 1 and {MAX_MELS}")
        check(
            1 <= self.coefficients <= self.mels or self.kind != "mfcc",
            f"frontend.coefficients: {self.coefficients} must lie between 1 and the {self.mels} mels",
        )
        check(
            0 <= self.low < self.top <= self.rate / 2,
            f"frontend.low and high: {self.low} to {self.top} Hz must rise, within 0 to {self.rate / 2} Hz",
        )
        check(0 <= self.preemphasis < 1, f"frontend.preemphasis: {self.preemphasis} must lie in [0, 1)")
        check(
            self.kind not in ("wave", "seamless") or self.normalize in ("utterance", "none"),
            f"frontend.normalize: {self.normalize} is not known for {self.kind}; take utterance or none",
        )
        check(
            self.kind != "seamless" or self.rate == 16000,
            f"frontend.rate: {self.rate} does not suit seamless; its frames are those of 16000 samples a second",
        )
        if self.kind == "whisper":
            fixed = (self.rate, self.window, self.hop, self.low, self.top, self.preemphasis, self.normalize)
            check(
                fixed == (16000, 0.025, 0.010, 0.0, 8000.0, 0.0, "none"),
                "frontend.kind: Whisper's features have rate 16000, window 0.025, hop 0.01, low 0, preemphasis 0 "
                "and normalize none; set these, or another kind",
            )

    @classmethod
    def whisper(cls, mels: int = 80) -> "FeatureConfig":
        """Whisper's features (Radford et al. 2023): Slaney's mel bands (80, or 128 from large-v3 on) of centred frames,
        log10, not below the utterance's maximum - 8, then (x + 4) / 4."""
        return cls("whisper", mels=mels, low=0.0, preemphasis=0.0, normalize="none")

    @property
    def features(self) -> int:
        """M: how many numbers a frame holds."""
        bins = self.fft // 2 + 1
        sizes = {"mfcc": self.coefficients, "spectrogram": bins, "wave": 1, "seamless": 2 * self.mels}
        return sizes.get(self.kind, self.mels)

    @property
    def window_samples(self) -> int:
        return round(self.window * self.rate)

    @property
    def hop_samples(self) -> int:
        return round(self.hop * self.rate)

    @property
    def top(self) -> float:
        """The upper edge of the mel bands in Hz."""
        return self.rate / 2 if self.high is None else self.high

    @property
    def fft(self) -> int:
        """Size of the Fourier transform: the window, zero-padded to the next power of two; Whisper's is not."""
        if self.kind == "whisper":
            return self.window_samples
        return 1 << (self.window_samples - 1).bit_length()
