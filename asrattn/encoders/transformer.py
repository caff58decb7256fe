"""Transformer encoder."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from asrattn.encoders.stack import StackConfig
from asrattn.layers import Dropout, FeedForward


@dataclass(frozen=True)
class TransformerEncoderConfig(StackConfig):
    """Self-attention and a feed-forward net a layer (Vaswani et al. 2017; for speech Dong et al. 2018)."""

    kind: Literal["transformer"] = "transformer"


class TransformerLayer(nn.Module):
    """Attention, feed-forward, each after a norm (Xiong et al. 2020): x (B, T, D), real (B, T) -> (B, T, D)."""

    def __init__(self, config: TransformerEncoderConfig):
        super().__init__()
        self.norms = config.norms(2)
        self.attention = config.self_attention()
        self.feed_forward = FeedForward(config.dim, config.hidden, config.dropout)
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        x = self.dropout.add(x, self.attention(self.norms[0](x), real[:, None]))
        return self.dropout.add(x, self.feed_forward(self.norms[1](x)))
