"""Layers shared by encoders and decoders: products, dropout, positions, self-attention, feed-forward, convolution."""

import math
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asrattn.config import check

WORTH = 2**21  # multiplications, below which calling oneDNN takes longer than what it saves
Positions = Literal["none", "sinusoidal", "rotary"]


class Linear(nn.Linear):
    """nn.Linear whose float32 products are computed by oneDNN on a CPU.

    torch leaves those to MKL, which reaches half of the speed on processors that are not Intel's. Everything else,
    bfloat16 among it, is torch's own.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not _onednn(x, self.weight):
            return super().forward(x)
        if not torch.is_grad_enabled():
            return _product(x, self.weight, self.bias)
        out: Tensor = _Product.apply(x, self.weight, self.bias)  # type: ignore[no-untyped-call]
        return out


class _Product(torch.autograd.Function):
    """x (..., I), weight (O, I), bias (O,) -> (..., O)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _product(x, weight, bias)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        for_x, for_weight, for_bias = ctx.needs_input_grad
        rows = grad.reshape(-1, grad.shape[-1])
        return (
            _product(grad, weight.t(), None) if for_x else None,
            _product(rows.t(), x.reshape(-1, x.shape[-1]).t(), None) if for_weight else None,
            rows.sum(0) if for_bias else None,
        )


def _product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    out: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return out


def _onednn(x: Tensor, weight: Tensor) -> bool:
    return (
        x.numel() * len(weight) >= WORTH
        and x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    )


class Dropout(nn.Module):
    """Dropout with a cheap mask on CPUs.

    Random numbers cost more than the layers around them there. So a mask is cut, at a random place, out of a long
    row of them that is drawn once; it takes no memory of its own either. Elsewhere this is torch's own dropout.
    """

    def __init__(self, p: float):
        super().__init__()
        check(0 <= p < 1, f"dropout is {p}; it must lie in [0, 1)")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        return x * self._mask(x) if x.device.type == "cpu" else F.dropout(x, self.p)

    def add(self, residual: Tensor, x: Tensor, share: float = 1.0) -> Tensor:
        """residual + share · dropout(x), in one pass over the memory."""
        if self.training and self.p and x.device.type == "cpu":
            return torch.addcmul(residual, x, self._mask(x), value=share)
        return torch.add(residual, self(x), alpha=share)

    def _mask(self, x: Tensor) -> Tensor:
        row = _dropped(self.p, x.dtype, max(22, (2 * x.numel()).bit_length()))
        start = int(torch.randint(len(row) - x.numel(), ()))
        return row[start : start + x.numel()].view(x.shape)


_rows: dict[tuple[float, torch.dtype, int], Tensor] = {}


def _dropped(p: float, dtype: torch.dtype, bits: int) -> Tensor:
    """(2^bits,): 0 with probability p, else 1 / (1 - p). Always the same, so that a seed means the same anywhere."""
    if (p, dtype, bits) not in _rows:
        with torch.inference_mode(False):
            drawn = torch.rand(2**bits, generator=torch.Generator().manual_seed(bits))
            _rows[p, dtype, bits] = (drawn >= p).to(dtype).div_(1 - p)
    return _rows[p, dtype, bits]


def rows() -> list[Tensor]:
    """The rows that masks are cut from: held once, whatever the number of layers and passes."""
    return list(_rows.values())


def sinusoids(length: int, dim: int, start: int = 0, device: torch.device | None = None) -> Tensor:
    """(length, dim) sine and cosine positions (Vaswani et al. 2017): PE(p, 2i) = sin(p / 10000^(2i/dim))."""
    angles = _angles(length, dim, start, device)
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1)


def rotate(x: Tensor, start: int = 0) -> Tensor:
    """Rotary positions (Su et al. 2021): pairs (i, i + dim/2) of x (..., length, dim) turned by p / 10000^(2i/dim)."""
    angles = _angles(x.shape[-2], x.shape[-1], start, x.device)
    out: Tensor = _Turn.apply(x, angles.cos().to(x.dtype), angles.sin().to(x.dtype))  # type: ignore[no-untyped-call]
    return out


class _Turn(torch.autograd.Function):
    """x (..., 2h) with cos, sin (length, h); its gradient is turned back. Two passes over the memory, not seven."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _turn(x, cos, sin, 1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        cos, sin = ctx.saved_tensors
        return _turn(grad, cos, sin, -1), None, None


def _turn(x: Tensor, cos: Tensor, sin: Tensor, sign: int) -> Tensor:
    left, right = x.chunk(2, dim=-1)
    out = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    torch.mul(x, torch.cat((cos, cos), dim=-1), out=out)
    out[..., : left.shape[-1]].addcmul_(right, sin, value=-sign)
    out[..., left.shape[-1] :].addcmul_(left, sin, value=sign)
    return out


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
        self.qkv = Linear(dim, 3 * dim)
        self.out = Linear(dim, dim)
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
        qkv = self.qkv(x).view(B, L, 3, self.heads, D // self.heads).permute(2, 0, 3, 1, 4)
        pair, values = qkv.split((2, 1))
        query, keys = (rotate(pair, start) if self.rotary else pair).unbind()
        return query, keys, values[0]

    def _attend(self, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        drops = self.training and self.dropout.p > 0
        if query.device.type == "cpu" and (drops or query.dtype == torch.bfloat16):
            # The fused kernel has no dropout there, and in bfloat16 two products and a softmax are a third faster.
            scores = (query / math.sqrt(query.shape[-1])) @ keys.transpose(-1, -2)
            if mask is not None:
                hidden = torch.zeros_like(mask, dtype=scores.dtype)
                scores += hidden.masked_fill_(~mask, torch.finfo(scores.dtype).min)
            weights: Tensor = self.dropout(scores.softmax(-1))
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
        super().__init__(Linear(dim, hidden), nn.SiLU(), Dropout(dropout), Linear(hidden, dim))


class Convolution(nn.Module):
    """The convolution module of the Conformer (Gulati et al. 2020): x (B, T, D), mask (B, T) -> (B, T, D).

    LayerNorm stands where the paper has BatchNorm: its statistics do not depend on the rest of the batch.
    """

    def __init__(self, dim: int, kernel: int):
        super().__init__()
        check(kernel % 2 == 1, f"kernel {kernel} must be odd, so that it has a middle")
        self.gate = Linear(dim, 2 * dim)
        # Two-dimensional, with a height of one: three times as fast on a CPU as nn.Conv1d.
        self.depthwise = nn.Conv2d(dim, dim, (1, kernel), padding=(0, kernel // 2), groups=dim)
        self.norm = nn.LayerNorm(dim)
        self.out = Linear(dim, dim)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = F.glu(self.gate(x), dim=-1) * mask[..., None]  # padding must not leak in through the kernel
        x = self.depthwise(x.transpose(1, 2)[:, :, None])[:, :, 0].transpose(1, 2)
        out: Tensor = self.out(F.silu(self.norm(x)))
        return out
