"""Conformer encoder."""

from torch import Tensor, nn

from asrattn.encoders.config import ConformerConfig
from asrattn.encoders.self_attention_encoder import norms, self_attention
from asrattn.layers.convolution import Convolution
from asrattn.layers.dropout import Dropout
from asrattn.layers.feed_forward import FeedForward


class ConformerLayer(nn.Module):
    """½ feed-forward, attention, convolution, ½ feed-forward, norm (Gulati et al. 2020, section 2.4):
    x (B, T, D), real (B, T) -> (B, T, D)."""

    def __init__(self, config: ConformerConfig):
        super().__init__()
        D = config.dim
        self.norms = norms(config, 5)
        self.first = FeedForward(D, config.ffn_dim, config.dropout)
        self.attention = self_attention(config)
        self.convolution = Convolution(D, config.kernel, config.convolution_norm)
        self.second = FeedForward(D, config.ffn_dim, config.dropout)
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        x = self.dropout.add(x, self.first(self.norms[0](x)), share=0.5)
        x = self.dropout.add(x, self.attention(self.norms[1](x), real[:, None]))
        x = self.dropout.add(x, self.convolution(self.norms[2](x), real))
        x = self.dropout.add(x, self.second(self.norms[3](x)), share=0.5)
        out: Tensor = self.norms[4](x)
        return out
