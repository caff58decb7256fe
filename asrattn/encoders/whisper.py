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


class WhisperEncoder(nn.Module):
    """The encoder of Radford et al. 2023: feats (B, F, M) -> frames (B, T, D), 50 a second.

    The silence behind the audio is input like the audio: `real_frames` counts it. What a batch adds is masked.
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

    def lens(self, feat_lens: Tensor) -> Tensor:
        """(B,) frames of audio -> (B,) frames that the decoder reads."""
        frames = (self.real_frames(feat_lens) + 1) // 2
        if self.config.keep_seconds is not None:
            kept = (feat_lens + round(self.config.keep_seconds * FRAMES_PER_SECOND) + 1) // 2
            frames = torch.minimum(frames, kept)
        return frames * (feat_lens > 0)

    def real_frames(self, feat_lens: Tensor) -> Tensor:
        """(B,) frames of audio -> (B,) with the silence behind it."""
        context, silence = (
            round(seconds * FRAMES_PER_SECOND)
            for seconds in (self.config.context_seconds, self.config.silence_seconds)
        )
        return (feat_lens + silence).clamp(min=context).clamp(max=2 * self.config.max_frames)

    def forward(self, feats: Tensor, lens: Tensor) -> EncoderOutput:
        out_lens, own = self.lens(lens), self.real_frames(lens)
        feats = feats[:, : 2 * self.config.max_frames]
        silence = whisper_silence(feats, mask(lens, feats.shape[1]))[:, None, None]
        size = max(int(own.max()), 1)
        x = F.pad(feats, (0, 0, 0, max(0, size - feats.shape[1])))[:, :size]
        x = torch.where(mask(lens, size)[..., None], x, silence)
        x = (x * mask(own, size)[..., None]).transpose(1, 2)
        x = F.gelu(self.convs[0](x)) * mask(own, size)[:, None]
        x = F.gelu(self.convs[1](x)).transpose(1, 2)
        real = mask((own + 1) // 2, x.shape[1])
        x = middle = self.dropout(x + self.positions[: x.shape[1]].to(x.dtype))
        for number, layer in enumerate(self.layers):
            x = layer(x, real)
            if number == (len(self.layers) - 1) // 2:
                middle = x
        T = max(int(out_lens.max()), 1)
        kept = mask(out_lens, T)[..., None]
        return EncoderOutput(self.norm(x[:, :T]) * kept, out_lens, self.norm(middle[:, :T]) * kept)


class WhisperEncoderLayer(nn.Module):
    """Self-attention, then a feed-forward net with GELU, each after a norm: x (B, T, D), real (B, T) -> (B, T, D)."""

    def __init__(self, config: WhisperEncoderConfig):
        super().__init__()
        D = config.dim
        self.norms = nn.ModuleList((nn.LayerNorm(D), nn.LayerNorm(D)))
        self.attention = SelfAttention(D, config.heads, config.dropout, rotary=False)
        self.feed_forward = FeedForward(D, config.ffn_dim, config.dropout, "gelu")
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        x = self.dropout.add(x, self.attention(self.norms[0](x), real[:, None]))
        return self.dropout.add(x, self.feed_forward(self.norms[1](x)))


def whisper_sinusoids(length: int, dim: int) -> Tensor:
    """(length, dim): the sines of all rates, then the cosines; the rates fall from 1 to 1 / MAX_TIMESCALE."""
    step = math.log(MAX_TIMESCALE) / max(dim // 2 - 1, 1)
    rates = torch.exp(-step * torch.arange(dim // 2, dtype=torch.float32))
    angles = torch.arange(length, dtype=torch.float32)[:, None] * rates
    return torch.cat((angles.sin(), angles.cos()), dim=1)
