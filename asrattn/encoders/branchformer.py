"""E-Branchformer encoder."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asrattn.encoders.config import EBranchformerConfig
from asrattn.encoders.self_attention_encoder import norms, self_attention
from asrattn.layers.convolution import Depthwise
from asrattn.layers.dropout import Dropout
from asrattn.layers.feed_forward import FeedForward
from asrattn.layers.linear import Linear
from asrattn.layers.norm import build_norm


class EBranchformerLayer(nn.Module):
    """½ feed-forward; attention ∥ cgMLP, merged; ½ feed-forward; norm: x (B, T, D), real (B, T) -> (B, T, D)."""

    def __init__(self, config: EBranchformerConfig):
        super().__init__()
        D = config.dim
        self.norms = norms(config, 5)
        self.first = FeedForward(D, config.ffn_dim, config.dropout)
        self.attention = self_attention(config)
        self.gated = ConvolutionalGatingMLP(config)
        self.merge = BranchMerge(D, config.merge)
        self.second = FeedForward(D, config.ffn_dim, config.dropout)
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        x = self.dropout.add(x, self.first(self.norms[0](x)), share=0.5)
        far = self.dropout(self.attention(self.norms[1](x), real[:, None]))
        near = self.dropout(self.gated(self.norms[2](x), real))
        x = self.dropout.add(x, self.merge(far, near, real))
        x = self.dropout.add(x, self.second(self.norms[3](x)), share=0.5)
        out: Tensor = self.norms[4](x)
        return out


class ConvolutionalGatingMLP(nn.Module):
    """Convolutional gating (cgMLP, Sakuma et al. 2021): x (B, T, D), real (B, T) -> (B, T, D).

    [a, b] = GELU(U x),   out = V (a ⊙ (w * norm(b)))   with * a depthwise convolution, which lets all through at first.
    """

    def __init__(self, config: EBranchformerConfig):
        super().__init__()
        half = config.gated // 2
        self.inner = Linear(config.dim, config.gated)
        self.norm = build_norm(config.norm, half)
        self.depthwise = Depthwise(half, config.kernel)
        nn.init.normal_(self.depthwise.weight, std=1e-6)
        assert self.depthwise.bias is not None
        nn.init.ones_(self.depthwise.bias)
        self.dropout = Dropout(config.dropout)
        self.out = Linear(half, config.dim)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        a, b = F.gelu(self.inner(x)).chunk(2, dim=-1)
        gate = self.depthwise(self.norm(b) * real[..., None])
        out: Tensor = self.out(self.dropout(a * gate))
        return out


class BranchMerge(nn.Module):
    """Both branches side by side, c = [far, near], then W (c + w * c): (B, T, D) each -> (B, T, D)."""

    def __init__(self, dim: int, kernel: int):
        super().__init__()
        self.depthwise = Depthwise(2 * dim, kernel)
        self.out = Linear(2 * dim, dim)

    def forward(self, far: Tensor, near: Tensor, real: Tensor) -> Tensor:
        both = torch.cat((far, near), dim=-1) * real[..., None]
        out: Tensor = self.out(both + self.depthwise(both))
        return out
