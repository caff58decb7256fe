"""Layers shared by encoders and decoders: dropout, positions, self-attention, feed-forward, convolution."""

import math
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asrattn.config import check

Positions = Literal["none", "sinusoidal", "rotary"]


class Dropout(nn.Module):
    """Dropout with a cheap mask on CPUs.

    Bernoulli numbers cost more than the layers around them there, so one random byte decides for each
    element: the probability is rounded to a 256th. Elsewhere this is torch's own dropout.
    """

    def __init__(self, p: float):
        super().__init__()
        check(0 <= p < 1, f"dropout is {p}; it must lie in [0, 1)")
        self.p = p
        self.threshold = round(p * 256)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.threshold == 0:
            return x
        if x.device.type != "cpu":
            return F.dropout(x, self.p)
        words = torch.empty((x.numel() + 7) // 8, dtype=torch.int64).random_(-(2**63), None)
        keep = words.view(torch.uint8)[: x.numel()].view(x.shape) >= self.threshold
        return x * keep.to(x.dtype).mul_(256 / (256 - self.threshold))


def sinusoids(length: int, dim: int, start: int = 0, device: torch.device | None = None) -> Tensor:
    """(length, dim) sine and cosine positions (Vaswani et al. 2017): PE(p, 2i) = sin(p / 10000^(2i/dim))."""
    angles = _angles(length, dim, start, device)
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1)


def rotate(x: Tensor, start: int = 0) -> Tensor:
    """Rotary positions (Su et al. 2021): pairs (i, i + dim/2) of x (..., length, dim) turned by p / 10000^(2i/dim)."""
    angles = _angles(x.shape[-2], x.shape[-1], start, x.device)
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    left, right = x.chunk(2, dim=-1)
    return torch.cat((left * cos - right * sin, right * cos + left * sin), dim=-1)


def _angles(length: int, dim: int, start: int, device: torch.device | None) -> Tensor:
    at = torch.arange(start, start + length, device=device, dtype=torch.float32)
    rate = torch.exp(torch.arange(0, dim, 2, device=device, dtype=torch.float32) * (-math.log(10000.0) / dim))
    return at[:, None] * rate


class Cache(NamedTuple):
    """Keys and values of the positions already seen: (N, H, U, D/H) each."""

    keys: Tensor
    values: Tensor


class SelfAttention(nn.Module):
    """Multi-head scaled dot-product attention of a sequence to itself (Vaswani et al. 2017)."""

    def __init__(self, dim: int, heads: int, dropout: float, rotary: bool):
        super().__init__()
        check(dim % heads == 0, f"dim {dim} is no multiple of heads {heads}")
        check(
            not rotary or dim // heads % 2 == 0,
            f"rotary positions need an even dim/heads, not {dim // heads}",
        )
        self.heads, self.rotary = heads, rotary
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x (B, L, D), mask (B or 1, 1 or L, L) True where query l may see key l'; -> (B, L, D)."""
        query, keys, values = self._project(x, 0)
        return self._merge(self._attend(query, keys, values, mask[:, None]))

    def step(self, x: Tensor, cache: Cache) -> tuple[Tensor, Cache]:
        """The next position x (N, D) after those of the cache; -> (N, D) and the longer cache."""
        query, key, value = self._project(x[:, None], cache.keys.shape[2])
        cache = Cache(torch.cat((cache.keys, key), dim=2), torch.cat((cache.values, value), dim=2))
        return self._merge(self._attend(query, cache.keys, cache.values, None))[:, 0], cache

    def _project(self, x: Tensor, start: int) -> tuple[Tensor, Tensor, Tensor]:
        B, L, D = x.shape
        q, k, v = self.qkv(x).view(B, L, 3, self.heads, D // self.heads).permute(2, 0, 3, 1, 4)
        return (rotate(q, start), rotate(k, start), v) if self.rotary else (q, k, v)

    def _attend(self, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        if query.device.type == "cpu" and query.dtype == torch.bfloat16:
            # Two products and a softmax are a third faster than the fused kernel there.
            scores = query @ keys.transpose(-1, -2) / math.sqrt(query.shape[-1])
            if mask is not None:
                scores = scores.masked_fill(~mask, float("-inf"))
            weights: Tensor = self.dropout(scores.softmax(-1, dtype=torch.float32).to(values.dtype))
            return weights @ values
        p = self.dropout.p if self.training else 0.0
        out: Tensor = F.scaled_dot_product_attention(query, keys, values, attn_mask=mask, dropout_p=p)
        return out

    def _merge(self, x: Tensor) -> Tensor:
        out: Tensor = self.out(x.transpose(1, 2).flatten(2))
        return out


class FeedForward(nn.Sequential):
    """Two linear maps with SiLU between: (..., D) -> (..., D)."""

    def __init__(self, dim: int, hidden: int, dropout: float):
        super().__init__(nn.Linear(dim, hidden), nn.SiLU(), Dropout(dropout), nn.Linear(hidden, dim))


class Convolution(nn.Module):
    """The convolution module of the Conformer (Gulati et al. 2020): x (B, T, D), mask (B, T) -> (B, T, D).

    LayerNorm stands where the paper has BatchNorm: its statistics do not depend on the rest of the batch.
    """

    def __init__(self, dim: int, kernel: int):
        super().__init__()
        check(kernel % 2 == 1, f"kernel {kernel} must be odd, so that it has a middle")
        self.gate = nn.Linear(dim, 2 * dim)
        # Two-dimensional, with a height of one: three times as fast on a CPU as nn.Conv1d.
        self.depthwise = nn.Conv2d(dim, dim, (1, kernel), padding=(0, kernel // 2), groups=dim)
        self.norm = nn.LayerNorm(dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = F.glu(self.gate(x), dim=-1) * mask[..., None]  # padding must not leak in through the kernel
        x = self.depthwise(x.transpose(1, 2)[:, :, None])[:, :, 0].transpose(1, 2)
        out: Tensor = self.out(F.silu(self.norm(x)))
        return out
