"""Self-attention encoders: subsampling, positions, a stack of layers, temporal downsampling."""

import math
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asrattn.encoders.config import SelfAttentionEncoderConfig
from asrattn.encoders.output import EncoderOutput
from asrattn.encoders.subsampling import build_subsampling
from asrattn.layers.dropout import Dropout
from asrattn.layers.norm import build_norm
from asrattn.layers.positions import AddedPositions
from asrattn.layers.self_attention import SelfAttention
from asrattn.lengths import mask


class SelfAttentionEncoder(nn.Module):
    """A front, then layers (x (B, T, D), real (B, T)) -> (B, T, D): feats (B, F, M) -> frames (B, T, D)."""

    def __init__(self, config: SelfAttentionEncoderConfig, features: int, layer: Callable[[], nn.Module]):
        super().__init__()
        D = self.dim = config.dim
        self.front = build_subsampling(config.subsampling, features, D, config.channels, config.factor)
        # As embeddings in Vaswani et al. 2017: drawn as usual, frames are small against what positions and layers add.
        self.front.out.weight.data.mul_(math.sqrt(D))
        self.positions = AddedPositions(config.positions, D)
        self.dropout = Dropout(config.dropout)
        self.layers = nn.ModuleList(layer() for _ in range(config.layers))
        self.rates = nn.ModuleList(
            TemporalDownsampling(D, r) if r > 1 else nn.Identity() for r in config.downsampling
        )
        self.norm = build_norm(config.norm, D)

    def lens(self, feat_lens: Tensor) -> Tensor:
        return self.front.lens(feat_lens)

    def forward(self, feats: Tensor, lens: Tensor) -> EncoderOutput:
        x, lens = self.front(feats, lens)
        real = mask(lens, x.shape[1])
        x = middle = self.dropout(self.positions(x, real))
        half = (len(self.layers) - 1) // 2
        for rate, numbers in self._groups():
            lower = rate if isinstance(rate, TemporalDownsampling) else None
            low, seen = lower.downsample(x, real) if lower else (x, real)
            for number in numbers:
                low = self.layers[number](low, seen)
                if number == half:
                    middle = lower.upsample(low, x) if lower else low
            x = lower.upsample(low, x) if lower else low
        zero = real[..., None]
        return EncoderOutput(self.norm(x) * zero, lens, self.norm(middle) * zero)

    def _groups(self) -> Iterator[tuple[nn.Module, range]]:
        """Each rate with the numbers of its layers; where they do not share out evenly, later groups have more."""
        layers, rates = len(self.layers), len(self.rates)
        for group, rate in enumerate(self.rates):
            yield rate, range(group * layers // rates, (group + 1) * layers // rates)


def self_attention(config: SelfAttentionEncoderConfig) -> SelfAttention:
    """That of one layer."""
    rotary, relative = (config.positions == kind for kind in ("rotary", "relative"))
    return SelfAttention(config.dim, config.heads, config.dropout, rotary, relative, config.attention)


def norms(config: SelfAttentionEncoderConfig, count: int) -> nn.ModuleList:
    """Those of one layer."""
    return nn.ModuleList(build_norm(config.norm, config.dim) for _ in range(count))


class TemporalDownsampling(nn.Module):
    """Down to frames `rate` times as long and up again, as in the Zipformer (Yao et al. 2023).

    downsample  each frame is a mean of `rate` frames with learned weights, those of padding left out
    upsample  x + c ⊙ (y - x): of the frames repeated, y, and those which went past the lower rate, x, a share c each
    """

    def __init__(self, dim: int, rate: int):
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(rate))
        self.share = nn.Parameter(torch.full((dim,), 0.5))

    def downsample(self, x: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, T, D), real (B, T) -> (B, ⌈T/rate⌉, D), (B, ⌈T/rate⌉)."""
        B, T, D = x.shape
        rate = len(self.weights)
        x = F.pad(x, (0, 0, 0, -T % rate)).view(B, -1, rate, D)
        seen = F.pad(real, (0, -T % rate)).view(B, -1, rate)
        weights = self.weights.masked_fill(~seen, torch.finfo(self.weights.dtype).min).softmax(-1)
        return (x * weights[..., None]).sum(2).to(x.dtype), seen.any(-1)

    def upsample(self, low: Tensor, x: Tensor) -> Tensor:
        """low (B, ⌈T/rate⌉, D), and x (B, T, D) before it went down -> (B, T, D)."""
        y = low.repeat_interleave(len(self.weights), dim=1)[:, : x.shape[1]]
        return (x + self.share * (y - x)).to(x.dtype)
