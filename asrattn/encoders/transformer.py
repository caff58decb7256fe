"""Transformer and Conformer encoders: the same frame, two kinds of layer."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from asrattn.config import check
from asrattn.encoders.encoded import Encoded
from asrattn.encoders.subsampling import ConvSubsampling
from asrattn.layers import Convolution, Dropout, FeedForward, Positions, SelfAttention, sinusoids
from asrattn.lengths import mask


@dataclass(frozen=True)
class TransformerEncoderConfig:
    """`layers` of self-attention with `heads` and a feed-forward net of `hidden`."""

    kind: Literal["transformer"] = "transformer"
    dim: int = 256
    layers: int = 12
    heads: int = 4
    hidden: int = 1024
    factor: int = 4
    channels: int = 64
    positions: Positions = "rotary"
    dropout: float = 0.1

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True)
class ConformerConfig:
    """As the Transformer, with a convolution of `kernel` frames and two half feed-forward nets a layer."""

    kind: Literal["conformer"] = "conformer"
    dim: int = 256
    layers: int = 12
    heads: int = 4
    hidden: int = 1024
    kernel: int = 15
    factor: int = 4
    channels: int = 64
    positions: Positions = "rotary"
    dropout: float = 0.1

    def __post_init__(self) -> None:
        _check(self)
        check(self.kernel > 0 and self.kernel % 2 == 1, f"kernel is {self.kernel}; it must be odd")


def _check(config: TransformerEncoderConfig | ConformerConfig) -> None:
    sizes = (config.dim, config.layers, config.heads, config.hidden, config.channels)
    check(min(sizes) > 0, "dim, layers, heads, hidden and channels must be positive")
    check(config.dim % config.heads == 0, f"dim {config.dim} is no multiple of heads {config.heads}")
    check(config.factor in (2, 4, 8), f"factor is {config.factor}; it must be 2, 4 or 8")


class TransformerEncoder(nn.Module):
    """Convolutional subsampling, then pre-norm layers (Vaswani et al. 2017; Gulati et al. 2020)."""

    def __init__(self, config: TransformerEncoderConfig | ConformerConfig, features: int):
        super().__init__()
        self.dim = config.dim
        self.sinusoidal = config.positions == "sinusoidal"
        self.front = ConvSubsampling(features, config.dim, config.channels, config.factor)
        self.dropout = Dropout(config.dropout)
        self.layers = nn.ModuleList(
            ConformerLayer(config) if isinstance(config, ConformerConfig) else TransformerLayer(config)
            for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(config.dim)

    def lens(self, feat_lens: Tensor) -> Tensor:
        return self.front.lens(feat_lens)

    def forward(self, feats: Tensor, lens: Tensor) -> Encoded:
        x, lens = self.front(feats, lens)
        if self.sinusoidal:
            x = x + sinusoids(x.shape[1], self.dim, device=x.device).to(x.dtype)
        x = self.dropout(x)
        real = mask(lens, x.shape[1])
        middle = x
        for number, layer in enumerate(self.layers):
            x = layer(x, real)
            if number == (len(self.layers) - 1) // 2:
                middle = x
        zero = real[..., None]
        return Encoded(self.norm(x) * zero, lens, self.norm(middle) * zero)


class TransformerLayer(nn.Module):
    """x (B, T, D), mask (B, T) -> (B, T, D)."""

    def __init__(self, config: TransformerEncoderConfig):
        super().__init__()
        D = config.dim
        self.norms = nn.ModuleList(nn.LayerNorm(D) for _ in range(2))
        self.attention = SelfAttention(D, config.heads, config.dropout, config.positions == "rotary")
        self.feed_forward = FeedForward(D, config.hidden, config.dropout)
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        x = self.dropout.add(x, self.attention(self.norms[0](x), real[:, None]))
        return self.dropout.add(x, self.feed_forward(self.norms[1](x)))


class ConformerLayer(nn.Module):
    """½ feed-forward, attention, convolution, ½ feed-forward, norm (Gulati et al. 2020, section 2.4)."""

    def __init__(self, config: ConformerConfig):
        super().__init__()
        D = config.dim
        self.norms = nn.ModuleList(nn.LayerNorm(D) for _ in range(5))
        self.first = FeedForward(D, config.hidden, config.dropout)
        self.attention = SelfAttention(D, config.heads, config.dropout, config.positions == "rotary")
        self.convolution = Convolution(D, config.kernel)
        self.second = FeedForward(D, config.hidden, config.dropout)
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        x = self.dropout.add(x, self.first(self.norms[0](x)), share=0.5)
        x = self.dropout.add(x, self.attention(self.norms[1](x), real[:, None]))
        x = self.dropout.add(x, self.convolution(self.norms[2](x), real))
        x = self.dropout.add(x, self.second(self.norms[3](x)), share=0.5)
        out: Tensor = self.norms[4](x)
        return out
