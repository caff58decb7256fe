"""Positions: where in a sequence something stands."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asrattn.errors import DataError
from asrattn.layers.config import FramePositions
from asrattn.layers.convolution import Depthwise
from asrattn.layers.linear import Linear

MAX_LEARNED_FRAMES = 2048  # frames that learned positions reach: 82 s at 25 a second
CONV_POSITION_FRAMES = 63  # frames that a convolution sees to find out where it is: 2.5 s at 25 a second


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


class AddedPositions(nn.Module):
    """Positions that are added to the frames before the first layer: x (B, T, D), real (B, T) -> (B, T, D).

    sinusoidal      x_p + PE(p) (Vaswani et al. 2017)
    learned         x_p + E_p with a table E (Gehring et al. 2017); an utterance longer than the table is refused
    convolutional   x + GELU(a depthwise convolution of x) (Mohamed et al. 2019; Baevski et al. 2020, wav2vec 2.0)
    """

    def __init__(self, kind: FramePositions, dim: int):
        super().__init__()
        self.kind = kind
        if kind == "learned":
            self.table = nn.Parameter(0.02 * torch.randn(MAX_LEARNED_FRAMES, dim))
        if kind == "convolutional":
            self.depthwise = Depthwise(dim, CONV_POSITION_FRAMES)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        """Raises DataError where learned positions end before the utterance does."""
        T, D = x.shape[1:]
        match self.kind:
            case "sinusoidal":
                return x + sinusoids(T, D, device=x.device).to(x.dtype)
            case "learned":
                if T > MAX_LEARNED_FRAMES:
                    raise DataError(
                        f"an utterance of {T} frames: learned positions end at {MAX_LEARNED_FRAMES}; "
                        "cut it, or train with others"
                    )
                return x + self.table[:T].to(x.dtype)
            case "convolutional":
                return x + F.gelu(self.depthwise(x * real[..., None]))
        return x


class RelativePositions(nn.Module):
    """Scores that depend on the distance (Dai et al. 2019, Transformer-XL; so in the Conformer):

        s_ij = ((q_i + u)·k_j + (q_i + v)·W r_{i-j}) / √d,    r_p = PE(p)

    The second term is found for the Q + K - 1 distances there are, and then read along the diagonals.
    """

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.project = Linear(dim, dim, bias=False)
        self.content = nn.Parameter(torch.zeros(heads, 1, dim // heads))  # u
        self.place = nn.Parameter(torch.zeros(heads, 1, dim // heads))  # v

    def forward(self, query: Tensor, start: int, keys: int) -> tuple[Tensor, Tensor]:
        """query (N, H, Q, d), the first of which stands `start` places after the first of K keys.

        -> query + u, and the second term (N, H, Q, K).
        """
        N, H, Q, d = query.shape
        if not keys:
            return query + self.content.to(query.dtype), query.new_zeros(N, H, Q, 0)
        distances = sinusoids(Q + keys - 1, H * d, start - keys + 1, query.device).flip(0)
        table = self.project(distances.to(query.dtype)).unflatten(1, (H, d)).permute(1, 2, 0)
        scores = (((query + self.place) / math.sqrt(d)).to(query.dtype) @ table).contiguous()
        n, h, q, one = scores.stride()
        by_key = scores.as_strided(
            (N, H, Q, keys), (n, h, q - one, one), Q - 1
        )  # row i starts i places earlier
        return query + self.content.to(query.dtype), by_key
