"""CNN encoder: convolutions over time (a time-delay neural network)."""

import torch.nn.functional as F
from torch import Tensor, nn

from asrattn.encoders.config import CNNEncoderConfig
from asrattn.encoders.output import EncoderOutput
from asrattn.encoders.subsampling import build_subsampling
from asrattn.layers.dropout import Dropout
from asrattn.layers.norm import apply_norm, build_norm
from asrattn.lengths import mask


class CNNEncoder(nn.Module):
    """A front, then layers with residuals: feats (B, F, M) -> frames (B, T, D)."""

    def __init__(self, config: CNNEncoderConfig, features: int):
        super().__init__()
        self.dim = config.dim
        self.front = build_subsampling(
            config.subsampling, features, config.dim, config.channels, config.factor
        )
        self.layers = nn.ModuleList(
            CNNLayer(config, config.dilations[n % len(config.dilations)]) for n in range(config.layers)
        )
        self.norm = nn.LayerNorm(config.dim)

    def lens(self, feat_lens: Tensor) -> Tensor:
        return self.front.lens(feat_lens)

    def forward(self, feats: Tensor, lens: Tensor) -> EncoderOutput:
        x, lens = self.front(feats, lens)
        real = mask(lens, x.shape[1])
        middle = x
        for number, layer in enumerate(self.layers):
            x = layer(x, real)
            if number == (len(self.layers) - 1) // 2:
                middle = x
        zero = real[..., None]
        return EncoderOutput(self.norm(x) * zero, lens, self.norm(middle) * zero)


class CNNLayer(nn.Module):
    """x + ReLU(norm(w * x)), the frames of w `dilation` apart: x (B, T, D), real (B, T) -> (B, T, D).

    The residuals are those of He et al. 2016.
    """

    def __init__(self, config: CNNEncoderConfig, dilation: int):
        super().__init__()
        D, reach = config.dim, dilation * (config.kernel // 2)
        # Two-dimensional, with a height of one, as in layers.Depthwise.
        self.conv = nn.Conv2d(D, D, (1, config.kernel), padding=(0, reach), dilation=(1, dilation))
        self.norm = build_norm(config.norm, D)
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        y = (x * real[..., None]).transpose(1, 2)[:, :, None]  # padding must not leak in through the kernel
        y = self.conv(y)[:, :, 0].transpose(1, 2)
        return self.dropout.add(x, F.relu(apply_norm(self.norm, y, real)))
