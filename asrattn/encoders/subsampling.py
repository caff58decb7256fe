"""Subsampling: fewer frames per second before the costly layers."""

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from asrattn.config import check
from asrattn.encoders.config import SubsamplingKind
from asrattn.layers.linear import Linear
from asrattn.lengths import conv_output_lens, mask


def build_subsampling(
    kind: SubsamplingKind, features: int, dim: int, channels: int, factor: int
) -> "ConvSubsampling | VGGSubsampling":
    """(B, F, M) -> (B, T, dim), with T about F / factor."""
    check(factor in (2, 4, 8), f"subsampling by {factor} is not known; take 2, 4 or 8")
    check(features >= 2 * factor, f"{features} features are too few to subsample by {factor}")
    match kind:
        case "conv":
            return ConvSubsampling(features, dim, channels, factor)
        case "vgg":
            return VGGSubsampling(features, dim, channels, factor)


class ConvSubsampling(nn.Module):
    """Convolutions over time and features, each halving both, then a linear map: (B, F, M) -> (B, T, dim).

    No window reaches over the end of an utterance (T counts whole windows), so padding never leaks in.
    """

    def __init__(self, features: int, dim: int, channels: int, factor: int):
        super().__init__()
        self.stages = factor.bit_length() - 1
        inputs = [1] + [channels] * (self.stages - 1)
        self.convs = nn.ModuleList(nn.Conv2d(c, channels, 3, stride=2) for c in inputs)
        height = features
        for _ in inputs:
            height = (height - 3) // 2 + 1
        self.out = Linear(channels * height, dim)

    def lens(self, feat_lens: Tensor) -> Tensor:
        """(B,) feature frames -> (B,) frames out."""
        for _ in range(self.stages):
            feat_lens = conv_output_lens(feat_lens, kernel=3, stride=2)
        return feat_lens

    def forward(self, feats: Tensor, lens: Tensor) -> tuple[Tensor, Tensor]:
        # The shortest input that fills one window: 3 → 7 → 15 frames for factors 2, 4, 8.
        x = F.pad(feats, (0, 0, 0, max(0, 2 ** (self.stages + 1) - 1 - feats.shape[1])))[:, None]
        for conv in self.convs:
            x = F.relu(conv(x))
        out_lens = self.lens(lens)
        x = self.out(x.transpose(1, 2).flatten(2))
        return x * mask(out_lens, x.shape[1])[..., None], out_lens


class VGGSubsampling(nn.Module):
    """Blocks of two 3x3 convolutions and a maximum over 2x2, then a linear map: (B, F, M) -> (B, T, dim).

    Simonyan & Zisserman 2015 (VGG); before recurrent encoders Hori et al. 2017. Each block halves time and features and
    has twice the channels of the one before; factor 4 is the usual two blocks. T counts whole windows. The convolutions
    see one frame beyond the end; it is made zero before each, as it is in an utterance alone.
    """

    def __init__(self, features: int, dim: int, channels: int, factor: int):
        super().__init__()
        self.stages = factor.bit_length() - 1
        sizes = [1] + [channels * 2 ** (n // 2) for n in range(2 * self.stages)]
        self.convs = nn.ModuleList(nn.Conv2d(size, larger, 3, padding=1) for size, larger in pairwise(sizes))
        self.out = Linear(sizes[-1] * (features // factor), dim)

    def lens(self, feat_lens: Tensor) -> Tensor:
        """(B,) feature frames -> (B,) frames out."""
        return conv_output_lens(feat_lens, kernel=2**self.stages, stride=2**self.stages)

    def forward(self, feats: Tensor, lens: Tensor) -> tuple[Tensor, Tensor]:
        x = F.pad(feats, (0, 0, 0, max(0, 2**self.stages - feats.shape[1])))[:, None]
        for number, conv in enumerate(self.convs):
            x = F.relu(conv(x * mask(lens, x.shape[2])[:, None, :, None]))
            if number % 2:
                x, lens = F.max_pool2d(x, 2), lens // 2
        x = self.out(x.transpose(1, 2).flatten(2))
        return x * mask(lens, x.shape[1])[..., None], lens


def stack_pairs(x: Tensor, lens: Tensor) -> tuple[Tensor, Tensor]:
    """Neighbouring frames side by side, (B, T, D) -> (B, ⌈T/2⌉, 2D): the pyramid of Chan et al. 2016."""
    x = F.pad(x, (0, 0, 0, x.shape[1] % 2))
    return x.reshape(x.shape[0], -1, 2 * x.shape[2]), (lens + 1) // 2
