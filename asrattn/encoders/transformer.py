"""Transformer encoder."""

from torch import Tensor, nn

from asrattn.encoders.config import TransformerEncoderConfig
from asrattn.encoders.self_attention_encoder import norms, self_attention
from asrattn.layers.dropout import Dropout
from asrattn.layers.feed_forward import FeedForward


class TransformerEncoderLayer(nn.Module):
    """Attention, feed-forward, each after a norm (Xiong et al. 2020): x (B, T, D), real (B, T) -> (B, T, D)."""

    def __init__(self, config: TransformerEncoderConfig):
        super().__init__()
        self.norms = norms(config, 2)
        self.attention = self_attention(config)
        self.feed_forward = FeedForward(config.dim, config.ffn_dim, config.dropout)
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        x = self.dropout.add(x, self.attention(self.norms[0](x), real[:, None]))
        return self.dropout.add(x, self.feed_forward(self.norms[1](x)))
