"""Feature extraction (log-mel, MFCC, spectrogram, wave, CMVN), batched, on the device, for training and inference."""

import warnings
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from asrattn import lengths
from asrattn.errors import ConfigError, DataError
from asrattn.features.config import FeatureConfig
from asrattn.features.seamless import SeamlessFilterbank
from asrattn.features.waveform import waveform

# Power below this counts as silence: about where the rounding of 16-bit audio lies, in one bin of a 25 ms
# window. Digital silence therefore looks like a quiet room rather than like an outlier.
POWER_FLOOR = 1e-8
WHISPER_POWER_FLOOR, WHISPER_RANGE = 1e-10, 8.0  # of Whisper's features; the range in log10 below the maximum
WHISPER_MAX_SECONDS = 30


class FeatureExtractor(nn.Module):
    """wave (B, S) in [-1, 1] and wave_lens (B,) -> feats (B, F, M) float32 and feat_lens (B,).

    Frame f covers the samples f·hop … f·hop + window, nothing is centred: padding and batching change no
    frame. Feats are 0 on padding. A wave shorter than `minimum_samples` has no frame: its length is 0, and
    whether that is an error is up to the caller. Everything is computed in float32, under autocast too.
    """

    window: Tensor
    mel: Tensor
    dct: Tensor
    mean: Tensor
    std: Tensor

    def __init__(self, config: FeatureConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer(
            "window", torch.hann_window(config.window_samples, device="cpu"), persistent=False
        )
        if config.kind == "seamless":
            self.seamless = SeamlessFilterbank(config.mels)
        if config.kind in ("log-mel", "mfcc", "whisper"):
            self.register_buffer("mel", _filterbank(config), persistent=False)
        if config.kind == "mfcc":
            self.register_buffer("dct", _cosines(config), persistent=False)
        self.register_buffer("mean", torch.zeros(config.features))
        self.register_buffer("std", torch.ones(config.features))

    @property
    def minimum_samples(self) -> int:
        """The shortest wave that holds a frame."""
        if self.config.kind in ("wave", "seamless"):
            return 1 if self.config.kind == "wave" else SeamlessFilterbank.minimum_samples
        return self.config.window_samples

    def lens(self, wave_lens: Tensor) -> Tensor:
        """(B,) samples -> (B,) whole frames, int64; of Whisper's features those that see a sample."""
        if self.config.kind in ("wave", "seamless"):
            return wave_lens.long() if self.config.kind == "wave" else SeamlessFilterbank.lens(wave_lens)
        if self.config.kind == "whisper":
            hop, reach = self.config.hop_samples, self.config.window_samples // 2
            frames = (wave_lens.long() + reach + hop - 1) // hop
            frames = frames.clamp(max=WHISPER_MAX_SECONDS * self.config.rate // hop)
            return frames * (wave_lens >= self.minimum_samples)
        return lengths.conv_output_lens(wave_lens.long(), self.config.window_samples, self.config.hop_samples)

    def forward(self, wave: Tensor, wave_lens: Tensor) -> tuple[Tensor, Tensor]:
        normalize = self.config.normalize
        if self.config.kind in ("wave", "seamless"):
            return self._of_pretrained(wave, wave_lens, normalize == "utterance")
        feats, lens = self.raw(wave, wave_lens)
        if normalize in ("global", "both"):
            feats = (feats - self.mean) / self.std
        padding = ~lengths.mask(lens, feats.shape[1])[:, :, None]
        if normalize in ("utterance", "both"):
            total = feats.masked_fill(padding, 0.0).sum(1, keepdim=True)
            feats = feats - total / lens.clamp(min=1)[:, None, None]
        return feats.masked_fill(padding, 0.0), lens

    def raw(self, wave: Tensor, wave_lens: Tensor) -> tuple[Tensor, Tensor]:
        """The features (B, F, M) and lengths (B,) before normalisation; 0 on padding. F is at least 1."""
        if self.config.kind in ("wave", "seamless"):
            return self._of_pretrained(wave, wave_lens, normalize=False)
        lens = self.lens(wave_lens)
        with torch.autocast(wave.device.type, enabled=False):
            if self.config.kind == "whisper":
                feats = self._whisper(wave.float() * lengths.mask(wave_lens, wave.shape[1]), lens)
            else:
                feats = self._transform(self._frames(wave.float()))
        return feats.masked_fill(~lengths.mask(lens, feats.shape[1])[:, :, None], 0.0), lens

    @torch.no_grad()
    def fit(self, waves: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Set mean and std from padded batches (wave (B, S), wave_lens (B,)), in one pass.

        Raises DataError where there is not a single frame.
        """
        device = self.mean.device
        count = 0
        sums = torch.zeros(2, self.config.features, dtype=torch.float64, device=device)
        for wave, wave_lens in waves:
            feats, lens = self.raw(wave.to(device), wave_lens.to(device))
            feats = feats.double()  # padding is 0 and adds nothing
            sums += torch.stack((feats.sum((0, 1)), feats.square().sum((0, 1))))
            count += int(lens.sum())
        if not count:
            raise DataError(
                f"the front-end cannot be fitted: no wave has the {self.minimum_samples} samples of a frame"
            )
        mean, square = sums / count
        std = (square - mean.square()).clamp(min=0).sqrt()
        self.mean.copy_(mean)
        # A constant feature holds no information, and must not blow up when it changes one day.
        self.std.copy_(torch.where(std > 1e-3, std, 1.0))

    def _of_pretrained(self, wave: Tensor, wave_lens: Tensor, normalize: bool) -> tuple[Tensor, Tensor]:
        """The kinds wave and seamless, which are normalised to a variance of 1 in their own way."""
        with torch.autocast(wave.device.type, enabled=False):
            if self.config.kind == "wave":
                return waveform(wave.float(), wave_lens.long(), normalize)
            feats: Tensor
            feats, lens = self.seamless(wave.float(), wave_lens.long(), normalize)
            return feats, lens

    def _frames(self, wave: Tensor) -> Tensor:
        """(B, S) -> windowed frames (B, F, window)."""
        a = self.config.preemphasis
        if a:
            # What comes before the first sample does not matter: the window is 0 there.
            wave = wave - a * nn.functional.pad(wave[:, :-1], (1, 0))
        short = self.minimum_samples - wave.shape[1]
        if short > 0:
            wave = nn.functional.pad(wave, (0, short))
        return wave.unfold(1, self.config.window_samples, self.config.hop_samples) * self.window

    def _transform(self, frames: Tensor) -> Tensor:
        """Windowed frames (B, F, window) -> features (B, F, M)."""
        # Measured: as fast as torch.stft, which would need centring by hand and a transposition.
        spectrum: Tensor = torch.fft.rfft(frames, n=self.config.fft)
        power = spectrum.real.square() + spectrum.imag.square()
        if self.config.kind == "spectrogram":
            return power.clamp(min=POWER_FLOOR).log()
        mel = (power @ self.mel).clamp(min=POWER_FLOOR).log()
        return mel @ self.dct if self.config.kind == "mfcc" else mel

    def _whisper(self, wave: Tensor, lens: Tensor) -> Tensor:
        """wave (B, S), zero on padding -> (B, F, M); frame f is centred at sample f·hop."""
        reach, longest = self.config.window_samples // 2, WHISPER_MAX_SECONDS * self.config.rate
        wave = nn.functional.pad(wave[:, :longest], (0, max(0, reach + 1 - wave.shape[1])))
        if wave.shape[1] > longest - reach:  # 30 s are mirrored at their end; what is shorter ends in silence
            wave = nn.functional.pad(wave, (0, longest - wave.shape[1]))
            wave = nn.functional.pad(wave[:, None], (reach, reach), mode="reflect")[:, 0]
        else:
            wave = nn.functional.pad(wave[:, None], (reach, 0), mode="reflect")[:, 0]
            wave = nn.functional.pad(wave, (0, 2 * reach))
        frames = wave.unfold(1, 2 * reach, self.config.hop_samples)[:, : max(int(lens.max()), 1)]
        # In double precision: the encoder amplifies what single precision leaves in quiet bands a hundred times.
        spectrum: Tensor = torch.fft.rfft(frames.double() * self.window, n=self.config.fft)
        power = (spectrum.real.square() + spectrum.imag.square()).float()
        mel = (power @ self.mel).clamp(min=WHISPER_POWER_FLOOR).log10()
        real = lengths.mask(lens, mel.shape[1])[:, :, None]
        most = mel.masked_fill(~real, -torch.inf).amax((1, 2), keepdim=True).clamp(min=-10.0)
        return (torch.maximum(mel, most - WHISPER_RANGE) + 4.0) / 4.0


def whisper_silence(feats: Tensor, real: Tensor) -> Tensor:
    """What Whisper's features of silence are beside those of an utterance: feats (B, F, M), real (B, F) -> (B,)."""
    most = feats.masked_fill(~real[..., None], -torch.inf).amax((1, 2))
    floor = (torch.tensor(WHISPER_POWER_FLOOR).log10().item() + 4.0) / 4.0
    return (most - WHISPER_RANGE / 4.0).clamp(min=floor)


def _filterbank(config: FeatureConfig) -> Tensor:
    """(bins, mels): triangular filters on the HTK mel scale, peak 1; Whisper's on Slaney's scale, with equal areas."""
    from torchaudio.functional import melscale_fbanks

    slaney = {"norm": "slaney", "mel_scale": "slaney"} if config.kind == "whisper" else {}
    with warnings.catch_warnings(), torch.device("cpu"):  # not on the device without memory (`weights.build`)
        warnings.simplefilter("ignore", UserWarning)  # about empty filters: reported below, with what to do
        bank: Tensor = melscale_fbanks(
            config.fft // 2 + 1, config.low, config.top, config.mels, config.rate, **slaney
        )
    empty = int((bank.amax(0) == 0).sum())
    if empty:
        raise ConfigError(
            f"frontend.mels: {empty} of {config.mels} bands hold no frequency of the transform "
            f"of {config.fft} points; use fewer mels, a longer window or a wider range"
        )
    return bank


def _cosines(config: FeatureConfig) -> Tensor:
    """(mels, coefficients): the orthonormal cosine transform (DCT-II)."""
    from torchaudio.functional import create_dct

    matrix: Tensor = create_dct(config.coefficients, config.mels, norm="ortho")
    return matrix
