"""Encoder of convolutions over time: a time-delay neural network."""

from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from asrattn.config import check
from asrattn.encoders.encoded import Encoded
from asrattn.encoders.subsampling import Front, front
from asrattn.layers import Dropout, Norm, norm, normalized
from asrattn.lengths import mask


@dataclass(frozen=True)
class CNNEncoderConfig:
    """`layers` of convolutions with `dim` channels over `kernel` frames (Waibel et al. 1989).

    dilations     the frames that a layer sees are so far apart, one number a layer, again and again (Peddinti et al.
                  2015)
    subsampling   the front: plain convolutions, or blocks as in VGG, with `channels`
    factor        feature frames for one of the layers': 2, 4 or 8
    """

    kind: Literal["cnn"] = "cnn"
    dim: int = 256
    layers: int = 12
    kernel: int = 5
    dilations: tuple[int, ...] = (1, 2, 4)
    subsampling: Front = "conv"
    factor: int = 4
    channels: int = 64
    norm: Norm = "layer"
    dropout: float = 0.1

    def __post_init__(self) -> None:
        check(min(self.dim, self.layers, self.channels) > 0, "dim, layers and channels must be positive")
        check(self.factor in (2, 4, 8), f"factor is {self.factor}; it must be 2, 4 or 8")
        check(self.kernel > 0 and self.kernel % 2 == 1, f"kernel is {self.kernel}; it must be odd")
        check(min(self.dilations, default=0) > 0, "dilations must be positive, one at least")


class CNNEncoder(nn.Module):
    """A front, then layers with residuals: feats (B, F, M) -> frames (B, T, D)."""

    def __init__(self, config: CNNEncoderConfig, features: int):
        super().__init__()
        self.dim = config.dim
        self.front = front(config.subsampling, features, config.dim, config.channels, config.factor)
        self.layers = nn.ModuleList(
            CNNLayer(config, config.dilations[n % len(config.dilations)]) for n in range(config.layers)
        )
        self.norm = nn.LayerNorm(config.dim)

    def lens(self, feat_lens: Tensor) -> Tensor:
        return self.front.lens(feat_lens)

    def forward(self, feats: Tensor, lens: Tensor) -> Encoded:
        x, lens = self.front(feats, lens)
        real = mask(lens, x.shape[1])
        middle = x
        for number, layer in enumerate(self.layers):
            x = layer(x, real)
            if number == (len(self.layers) - 1) // 2:
                middle = x
        zero = real[..., None]
        return Encoded(self.norm(x) * zero, lens, self.norm(middle) * zero)


class CNNLayer(nn.Module):
    """x + ReLU(norm(w * x)), the frames of w `dilation` apart: x (B, T, D), real (B, T) -> (B, T, D).

    The residuals are those of He et al. 2016.
    """

    def __init__(self, config: CNNEncoderConfig, dilation: int):
        super().__init__()
        D, reach = config.dim, dilation * (config.kernel // 2)
        # Two-dimensional, with a height of one, as in layers.Depthwise.
        self.conv = nn.Conv2d(D, D, (1, config.kernel), padding=(0, reach), dilation=(1, dilation))
        self.norm = norm(config.norm, D)
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        y = (x * real[..., None]).transpose(1, 2)[:, :, None]  # padding must not leak in through the kernel
        y = self.conv(y)[:, :, 0].transpose(1, 2)
        return self.dropout.add(x, F.relu(normalized(self.norm, y, real)))
