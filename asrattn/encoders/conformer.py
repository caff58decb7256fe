"""Conformer encoder."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from asrattn.config import check
from asrattn.encoders.stack import StackConfig
from asrattn.layers import Convolution, Dropout, FeedForward, Norm


@dataclass(frozen=True)
class ConformerConfig(StackConfig):
    """As the Transformer, with a convolution of `kernel` frames and two half feed-forward nets a layer (Gulati et al.
    2020).

    convolution_norm   in the convolution: layer; batch, as in the paper; or rms
    """

    kind: Literal["conformer"] = "conformer"
    kernel: int = 15
    convolution_norm: Norm = "layer"

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self.kernel > 0 and self.kernel % 2 == 1, f"kernel is {self.kernel}; it must be odd")


class ConformerLayer(nn.Module):
    """½ feed-forward, attention, convolution, ½ feed-forward, norm (Gulati et al. 2020, section 2.4):
    x (B, T, D), real (B, T) -> (B, T, D)."""

    def __init__(self, config: ConformerConfig):
        super().__init__()
        D = config.dim
        self.norms = config.norms(5)
        self.first = FeedForward(D, config.hidden, config.dropout)
        self.attention = config.self_attention()
        self.convolution = Convolution(D, config.kernel, config.convolution_norm)
        self.second = FeedForward(D, config.hidden, config.dropout)
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        x = self.dropout.add(x, self.first(self.norms[0](x)), share=0.5)
        x = self.dropout.add(x, self.attention(self.norms[1](x), real[:, None]))
        x = self.dropout.add(x, self.convolution(self.norms[2](x), real))
        x = self.dropout.add(x, self.second(self.norms[3](x)), share=0.5)
        out: Tensor = self.norms[4](x)
        return out
