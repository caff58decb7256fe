"""Augmentation: noise, time stretch, VTLP and SpecAugment, for whole batches on their device, from one generator.

The generator lives on the CPU whatever the device: a few numbers for each utterance are drawn there and moved,
so that a seed means the same everywhere. What is 0 on padding stays 0, and no argument is changed in place.
"""

import math
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from asrattn import audio, lengths
from asrattn.audio import walker
from asrattn.augment.config import AugmentConfig
from asrattn.errors import DataError

EQUALIZER_POINTS = 5
VTLP_KNEE = 0.75  # where on the feature axis the warp bends back, so that both ends stay in place
# Of the resampling filter; the rolloff is a share of the narrower band, at whose end the filter is 40 dB down.
RESAMPLER_HALF_TAPS, RESAMPLER_ROLLOFF = 32, 0.95
COLORED_NOISE_COUNT, COLORED_NOISE_SECONDS = 16, 8  # coloured noises: their number, and the period of each


class Augment(nn.Module):
    """`augment_wave` goes before the front-end, `warp_features` and then `mask_features` after it; in training only.

    The noises stay in memory, on the module's device: 115 MB for an hour at 16 kHz. Raises DataError if the
    noise folder is missing or holds no audio, AudioError for a file in it that cannot be read.
    """

    noises: Tensor  # (all samples,) int16: the noises, one after the other
    starts: Tensor  # (noises,) where each begins
    sizes: Tensor  # (noises,) samples of each

    def __init__(self, config: AugmentConfig, rate: int) -> None:
        super().__init__()
        self.config, self.rate = config, rate
        noises: list[Tensor] = []
        if config.noise:
            noises = (
                _load_noises(Path(config.noise_folder), rate)
                if config.noise_folder
                else _colored_noises(rate)
            )
        sizes = torch.tensor([len(noise) for noise in noises], dtype=torch.int64)
        bank = torch.cat(noises) if noises else torch.zeros(0, dtype=torch.int16)
        self.register_buffer("noises", bank, persistent=False)
        self.register_buffer("starts", sizes.cumsum(0) - sizes, persistent=False)
        self.register_buffer("sizes", sizes, persistent=False)

    def augment_wave(self, wave: Tensor, lens: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Speed change, silence at both ends, noise: wave (B, S), lens (B,) -> (B, S'), (B,); the noise alone keeps
        the lengths."""
        if self.config.speed:
            factor = _around_one(self.config.speed, len(wave), generator, wave.device)
            wave, lens = perturb_speed(wave, lens, factor)
        if self.config.silence:
            most = self.config.silence * self.rate
            before, behind = (torch.rand(2, len(wave), generator=generator) * most).long().to(wave.device)
            wave, lens = add_silence(wave, lens, before, behind)
        if self.config.noise:
            wave = self._add_noise(wave, lens, generator)
        return wave, lens

    def warp_features(
        self,
        feats: Tensor,
        lens: Tensor,
        generator: Generator,
        length: Tensor | None = None,
        strength: float = 1.0,
    ) -> tuple[Tensor, Tensor]:
        """Time stretch and vocal-tract warp at once: feats (B, F, M), lens (B,) -> (B, F', M), (B,).

        length (B,): new length over old, where it was drawn before the batch was put together.
        strength: the share of the vocal-tract warp that is applied.
        """
        if not (self.config.stretch or self.config.vtlp):
            return feats, lens
        if length is None:
            length = _around_one(self.config.stretch, len(feats), generator, feats.device)
        tract = _around_one(self.config.vtlp * strength, len(feats), generator, feats.device)
        return warp_frames(feats, lens, length, tract)

    def mask_features(
        self, feats: Tensor, lens: Tensor, generator: Generator, strength: float = 1.0
    ) -> Tensor:
        """Equalizer and SpecAugment: normalised feats (B, F, M), lens (B,) -> (B, F, M), 0 where masked.

        strength: the share of the largest gain and of the largest widths.
        """
        config, (B, frames, M) = self.config, feats.shape
        if config.equalizer:
            gains = (
                (torch.rand(B, 1, EQUALIZER_POINTS, generator=generator) * 2 - 1)
                * config.equalizer
                * strength
            )
            curve = F.interpolate(gains.to(feats.device), size=M, mode="linear", align_corners=True)
            feats = feats + curve
        bands = torch.full((B,), M, device=feats.device)
        widths = _widths(config.frequency_masks, round(config.frequency_width * strength), bands, generator)
        keep_bands = ~_spans(widths, bands, M, generator)
        budget = (lens * config.time_fraction).long()
        widths = _widths(config.time_masks, round(config.time_width * strength), budget, generator)
        keep_frames = lengths.mask(lens, frames) & ~_spans(widths, lens, frames, generator)
        return feats * keep_frames[:, :, None] * keep_bands[:, None, :]

    def _add_noise(self, wave: Tensor, lens: Tensor, generator: Generator) -> Tensor:
        """Noise on some rows of wave (B, S), at a ratio to the power of the whole utterance."""
        low, high = self.config.snr
        draws = torch.rand(4, len(wave), generator=generator)
        chosen = torch.nonzero(draws[0] < self.config.noise)[:, 0]
        ratio, which, offset = draws[1:, chosen].to(wave.device)
        rows = chosen.to(wave.device)
        noise = self._pieces(which, offset, wave.shape[1])
        noise = noise * lengths.mask(lens[rows], wave.shape[1])
        signal_power = wave[rows].square().sum(1) / 10 ** ((low + (high - low) * ratio) / 10)
        noise_power = noise.square().sum(1)
        gain = torch.where(noise_power > 0, signal_power / noise_power, 0.0).sqrt()
        return wave.index_add(0, rows, noise * gain[:, None])

    def _pieces(self, which: Tensor, offset: Tensor, size: int) -> Tensor:
        """(R,) two draws from [0, 1) -> (R, size) pieces of noise; a short one starts over at its end."""
        noise = (which * len(self.sizes)).long()
        begin = (offset * self.sizes[noise]).long()
        at = (begin[:, None] + torch.arange(size, device=which.device)) % self.sizes[noise, None]
        return self.noises[self.starts[noise, None] + at].float()


def warp_frames(feats: Tensor, lens: Tensor, length: Tensor, tract: Tensor) -> tuple[Tensor, Tensor]:
    """Resample feats (B, F, M) in time and along the features, bilinearly, within each utterance's own frames.

    length (B,): new length over old; the new one is rounded, and at least 1 where there was a frame.
    tract (B,): feature m comes from m·tract below the knee, and above it from a straight line to the upper end:
    a factor above 1, a longer vocal tract, moves peaks down.
    """
    frames, M = feats.shape[1:]
    new = (lens * length).round().long().clamp(min=1) * (lens > 0)
    size = max(int(new.max()), 1)
    # A frame sits at its middle, half a frame from its edges.
    middles = torch.arange(size, device=feats.device) + 0.5
    time = middles * (lens / new.clamp(min=1))[:, None] - 0.5
    time = torch.minimum(time, lens[:, None] - 1).clamp(min=0)
    share = torch.linspace(0, 1, M, device=feats.device)
    below, above = (
        share * tract[:, None],
        1 - (1 - share) * (1 - VTLP_KNEE * tract[:, None]) / (1 - VTLP_KNEE),
    )
    band = torch.where(share < VTLP_KNEE, below, above)
    shape = (len(feats), size, M)
    x = (band * 2 - 1)[:, None, :].expand(shape)
    y = (time * 2 / max(frames - 1, 1) - 1)[:, :, None].expand(shape)
    grid = torch.stack((x, y), dim=-1)
    warped = F.grid_sample(feats[:, None], grid, padding_mode="border", align_corners=True)[:, 0]
    return warped * lengths.mask(new, size)[:, :, None], new


def add_silence(wave: Tensor, lens: Tensor, before: Tensor, behind: Tensor) -> tuple[Tensor, Tensor]:
    """Add zeros, `before` (B,) and `behind` (B,) so many, to wave (B, S) of lens (B,) -> (B, S'), (B,)."""
    new = lens + before + behind
    at = torch.arange(int(new.max()), device=wave.device) - before[:, None]
    inside = (at >= 0) & (at < lens[:, None])
    return wave.gather(1, at.clamp(0, wave.shape[1] - 1)) * inside, new


def perturb_speed(wave: Tensor, lens: Tensor, factor: Tensor) -> tuple[Tensor, Tensor]:
    """Play wave (B, S) faster by factor (B,), pitch and all: lens (B,) become lens / factor, rounded.

    Band-limited: a sinc under a raised cosine, over 64 samples. What would lie above half the rate is 40 dB down.
    """
    new = (lens / factor).round().long()
    at = torch.arange(int(new.max()), device=wave.device)
    # In double precision: single would place the samples of a long utterance wrongly by a hundredth.
    place = at * factor.double()[:, None]
    whole = place.floor()
    part = (place - whole).float()
    # Speeding up shifts frequencies up: what would pass half the rate is filtered out.
    cutoff = RESAMPLER_ROLLOFF * (1 / factor).clamp(max=1)[:, None]
    padded = F.pad(wave * lengths.mask(lens, wave.shape[1]), (RESAMPLER_HALF_TAPS, RESAMPLER_HALF_TAPS))
    result = torch.zeros(part.shape, device=wave.device)
    for tap in range(1 - RESAMPLER_HALF_TAPS, RESAMPLER_HALF_TAPS + 1):
        distance = part - tap
        weight = (
            cutoff
            * torch.sinc(distance * cutoff)
            * torch.cos(distance * (math.pi / 2 / RESAMPLER_HALF_TAPS)) ** 2
        )
        index = (whole.long() + (tap + RESAMPLER_HALF_TAPS)).clamp(max=padded.shape[1] - 1)
        result += weight * padded.gather(1, index)
    return result * lengths.mask(new, len(at)), new


def _around_one(amount: float, size: int, generator: Generator, device: torch.device) -> Tensor:
    """(size,) factors, uniform in 1 ± amount."""
    return (1 + (torch.rand(size, generator=generator) * 2 - 1) * amount).to(device)


def _widths(count: int, limit: int, budget: Tensor, generator: Generator) -> Tensor:
    """(B, count) widths, uniform in 0..limit, the later ones cut to keep each row's sum within its budget."""
    widths = (torch.rand(len(budget), count, generator=generator) * (limit + 1)).long().to(budget.device)
    total = widths.cumsum(1).clamp(max=budget[:, None])
    return total.diff(dim=1, prepend=total.new_zeros(len(total), 1))


def _spans(widths: Tensor, lens: Tensor, size: int, generator: Generator) -> Tensor:
    """Widths (B, count) -> (B, size) bool, True in spans of these widths, placed anywhere within lens (B,)."""
    place = torch.rand(widths.shape, generator=generator).to(lens.device)
    start = (place * (lens[:, None] - widths + 1)).long()
    at = torch.arange(size, device=lens.device)
    return ((at >= start[:, :, None]) & (at < (start + widths)[:, :, None])).any(1)


def _colored_noises(rate: int) -> list[Tensor]:
    """Noises whose power falls with frequency, from not at all (white) to squared (brown); always the same."""
    size = COLORED_NOISE_SECONDS * rate
    white = torch.randn(COLORED_NOISE_COUNT, size // 2 + 1, 2, generator=torch.Generator().manual_seed(0))
    slope = torch.linspace(0, 1, COLORED_NOISE_COUNT)[:, None]
    hz = torch.linspace(0, rate / 2, size // 2 + 1).clamp(min=50)  # below 50 Hz flat: no inaudible rumble
    noises: Tensor = torch.fft.irfft(torch.view_as_complex(white) * hz**-slope, n=size)
    return [_quantise(noise) for noise in noises]


def _load_noises(folder: Path, rate: int) -> list[Tensor]:
    """Every audio file below the folder."""
    from tqdm import tqdm

    paths = walker.find_audio(folder)[0] if folder.is_dir() else []
    if not paths:
        state = "holds no audio file" if folder.is_dir() else "is not a folder"
        raise DataError(
            f"augment.noise_folder: {folder} {state}; name a folder of noises, or none for coloured noise"
        )
    waves = tqdm((audio.read(path, rate) for path in paths), "noises", len(paths), disable=None, leave=False)
    return [_quantise(torch.from_numpy(wave)) for wave in waves]


def _quantise(noise: Tensor) -> Tensor:
    """(S,) as int16 at full scale: the loudness is set when it is mixed."""
    return (noise * (32767 / noise.abs().max().clamp(min=1e-8))).round().short()
