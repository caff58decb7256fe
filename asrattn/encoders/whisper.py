"""Whisper's encoder."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asrattn.encoders.config import WhisperEncoderConfig
from asrattn.encoders.output import EncoderOutput
from asrattn.features.extraction import whisper_silence
from asrattn.layers.dropout import Dropout
from asrattn.layers.feed_forward import FeedForward
from asrattn.layers.self_attention import SelfAttention
from asrattn.lengths import mask

FRAMES_PER_SECOND = 100  # feature frames
MAX_TIMESCALE = 10000.0
GOLDEN_RATIO = 0.6180339887  # its multiples modulo 1 lie apart as evenly as any


class WhisperEncoder(nn.Module):
    """The encoder of Radford et al. 2023: feats (B, F, M) -> frames (B, T, D), 50 a second.

    Whisper is trained on 30 s, filled up with silence, and needs it: its attention rests there. But silent frames
    differ by their positions alone, so a few of them, spread over the rest of the 30 s, can stand for all if each
    counts in the softmax as often as the frames it stands for: log n is added to its score. Decoder and CTC read them
    too.
    """

    positions: Tensor

    def __init__(self, config: WhisperEncoderConfig, features: int):
        super().__init__()
        self.config = config
        D = self.dim = config.dim
        self.convs = nn.ModuleList(
            (nn.Conv1d(features, D, 3, padding=1), nn.Conv1d(D, D, 3, stride=2, padding=1))
        )
        self.register_buffer("positions", whisper_sinusoids(config.max_frames, D))
        self.dropout = Dropout(config.dropout)
        self.layers = nn.ModuleList(WhisperEncoderLayer(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(D)

    def near_lens(self, feat_lens: Tensor) -> Tensor:
        """(B,) feature frames of audio -> (B,) encoder frames of it and of the silence that is encoded as it is."""
        longest = self.config.max_frames
        if self.config.silence_samples is None:
            return torch.full_like(feat_lens, longest) * (feat_lens > 0)
        silence = round(self.config.silence_seconds * FRAMES_PER_SECOND)
        return ((feat_lens + silence + 1) // 2).clamp(max=longest) * (feat_lens > 0)

    def lens(self, feat_lens: Tensor) -> Tensor:
        """(B,) feature frames of audio -> (B,) encoder frames, those that stand for silence among them."""
        near, samples = self.near_lens(feat_lens), self.config.silence_samples or 0
        return (near + samples).clamp(max=self.config.max_frames) * (feat_lens > 0)

    def forward(self, feats: Tensor, lens: Tensor) -> EncoderOutput:
        near, out_lens = self.near_lens(lens), self.lens(lens)
        x = self._convolve(feats, lens, near)
        x, places = self._add_samples(x, near, out_lens)
        x = middle = self.dropout(x + self.positions[places].to(x.dtype))
        real = mask(out_lens, x.shape[1])
        samples = self.config.silence_samples
        weights = (
            sample_log_weights(out_lens, x.shape[1], samples, self.config.max_frames) if samples else None
        )
        for number, layer in enumerate(self.layers):
            x = layer(x, real, weights)
            if number == (len(self.layers) - 1) // 2:
                middle = x
        kept = real[..., None]
        return EncoderOutput(self.norm(x) * kept, out_lens, self.norm(middle) * kept)

    def _convolve(self, feats: Tensor, lens: Tensor, near: Tensor) -> Tensor:
        """Convolutions over audio and silence: (B, F, M) -> (B, T, D) for the `near` frames, without positions."""
        longest = 2 * self.config.max_frames
        feats = feats[:, :longest]
        silence = whisper_silence(feats, mask(lens, feats.shape[1]))[:, None, None]
        size = min(2 * max(int(near.max()), 1) + 2, longest)  # the silence goes on behind the last frame
        x = F.pad(feats, (0, 0, 0, max(0, size - feats.shape[1])))[:, :size]
        x = torch.where(mask(lens, size)[..., None], x, silence).transpose(1, 2)
        return F.gelu(self.convs[1](F.gelu(self.convs[0](x)))).transpose(1, 2)

    def _add_samples(self, x: Tensor, near: Tensor, out_lens: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, T, D) with the frames that stand for silence behind the `near` ones, and the places (B, T') of all."""
        at = torch.arange(max(int(out_lens.max()), 1), device=x.device).expand(len(x), -1)
        count = (out_lens - near)[:, None]
        number = (at - near[:, None]).clamp(min=0)
        # Spread evenly but for a shift each: the positions are periodic, an even step would meet the same phases.
        shift = (number * GOLDEN_RATIO) % 1
        step = (self.config.max_frames - near)[:, None] / count.clamp(min=1)
        place = (near[:, None] + (number + shift) * step).long()
        place = torch.where(at < near[:, None], at, place).clamp(max=self.config.max_frames - 1)
        silent = (near - 1).clamp(min=0)[:, None]
        source = torch.where(at < near[:, None], at, silent).clamp(max=x.shape[1] - 1)
        return x.gather(1, source[..., None].expand(-1, -1, x.shape[2])), place


def sample_log_weights(lens: Tensor, size: int, samples: int, max_frames: int) -> Tensor:
    """lens (B,) of encoder outputs whose last `samples` frames stand for the rest of `max_frames` -> (B, size): the log
    of how many frames each frame stands for."""
    at = torch.arange(size, device=lens.device)
    near = (lens - samples)[:, None]
    each = ((max_frames - near) / samples).clamp(min=1).log()
    return torch.where(at >= near, each, 0.0)


class WhisperEncoderLayer(nn.Module):
    """Self-attention, then a feed-forward net with GELU, each after a norm: x (B, T, D), real (B, T),
    log_weights (B, T) or None -> (B, T, D)."""

    def __init__(self, config: WhisperEncoderConfig):
        super().__init__()
        D = config.dim
        self.norms = nn.ModuleList((nn.LayerNorm(D), nn.LayerNorm(D)))
        self.attention = SelfAttention(D, config.heads, config.dropout, rotary=False)
        self.feed_forward = FeedForward(D, config.ffn_dim, config.dropout, "gelu")
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor, real: Tensor, log_weights: Tensor | None) -> Tensor:
        x = self.dropout.add(x, self.attention(self.norms[0](x), real[:, None], log_weights))
        return self.dropout.add(x, self.feed_forward(self.norms[1](x)))


def whisper_sinusoids(length: int, dim: int) -> Tensor:
    """(length, dim): the sines of all rates, then the cosines; the rates fall from 1 to 1 / MAX_TIMESCALE."""
    step = math.log(MAX_TIMESCALE) / max(dim // 2 - 1, 1)
    rates = torch.exp(-step * torch.arange(dim // 2, dtype=torch.float32))
    angles = torch.arange(length, dtype=torch.float32)[:, None] * rates
    return torch.cat((angles.sin(), angles.cos()), dim=1)
