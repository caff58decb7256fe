"""Features of Wav2Vec2-BERT (Seamless Communication 2023): Kaldi's log-mel energies, two frames side by side."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asrattn import lengths
from asrattn.features.waveform import standardize

RATE = 16000  # Hz
WINDOW_SAMPLES, HOP_SAMPLES, FFT_POINTS = 400, 160, 512
LOWEST_HZ = 20.0
PREEMPHASIS = 0.97
FULL_SCALE = 2.0**15  # Kaldi reads 16-bit samples as they are
ENERGY_FLOOR = 1.192092955078125e-07  # the smallest step of float32 at 1
STACKED = 2  # frames side by side


class SeamlessFilterbank(nn.Module):
    """wave (B, S) in [-1, 1] at 16 kHz, lens (B,) -> feats (B, F, 2·mels), 0 on padding, and lens (B,).

    The same as SeamlessM4TFeatureExtractor of transformers. A frame alone at the end counts in mean and deviation and
    is then left out, as there. Each of Kaldi's frames (Povey et al. 2011): mean subtracted, pre-emphasis, Povey window.
    """

    window: Tensor
    mel: Tensor
    minimum_samples = WINDOW_SAMPLES + (STACKED - 1) * HOP_SAMPLES

    def __init__(self, mels: int) -> None:
        super().__init__()
        from torchaudio.compliance.kaldi import get_mel_banks

        window = torch.hann_window(WINDOW_SAMPLES, periodic=False, dtype=torch.float64, device="cpu") ** 0.85
        banks, _ = get_mel_banks(mels, FFT_POINTS, float(RATE), LOWEST_HZ, 0.0, 100.0, -500.0, 1.0)
        self.register_buffer("window", window.float(), persistent=False)
        # Half the rate itself, the last bin, belongs to no band.
        self.register_buffer("mel", F.pad(banks, (0, 1)).t().contiguous(), persistent=False)

    @staticmethod
    def lens(wave_lens: Tensor) -> Tensor:
        """(B,) samples -> (B,) frames, int64."""
        return lengths.conv_output_lens(wave_lens.long(), WINDOW_SAMPLES, HOP_SAMPLES) // STACKED

    def forward(self, wave: Tensor, wave_lens: Tensor, normalize: bool) -> tuple[Tensor, Tensor]:
        """normalize: zero mean and unit variance of each mel band of each utterance."""
        wave = F.pad(wave, (0, max(0, self.minimum_samples - wave.shape[1])))
        feats = self._energies(wave)
        if normalize:
            frames = lengths.conv_output_lens(wave_lens, WINDOW_SAMPLES, HOP_SAMPLES)
            feats = standardize(feats, frames, correction=1)
        lens = self.lens(wave_lens)
        B, frames_in, mels = feats.shape
        feats = feats[:, : frames_in // STACKED * STACKED].reshape(B, -1, STACKED * mels)
        return feats.masked_fill(~lengths.mask(lens, feats.shape[1])[:, :, None], 0.0), lens

    def _energies(self, wave: Tensor) -> Tensor:
        """(B, S) -> (B, frames, mels)."""
        frames = (wave * FULL_SCALE).unfold(1, WINDOW_SAMPLES, HOP_SAMPLES)
        frames = frames - frames.mean(-1, keepdim=True)
        before = F.pad(frames, (1, 0), mode="replicate")[..., :-1]
        spectrum = torch.fft.rfft((frames - PREEMPHASIS * before) * self.window, n=FFT_POINTS)
        power = spectrum.real.square() + spectrum.imag.square()
        energies: Tensor = (power @ self.mel).clamp(min=ENERGY_FLOOR).log()
        return energies
