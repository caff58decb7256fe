"""Layer norm, RMS norm and batch norm."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asrattn.layers.config import Norm


def build_norm(kind: Norm, dim: int) -> nn.Module:
    """layer: Ba et al. 2016; rms and batch: below."""
    match kind:
        case "layer":
            return nn.LayerNorm(dim)
        case "rms":
            return RMSNorm(dim)
        case "batch":
            return BatchNorm(dim)


def apply_norm(layer: nn.Module, x: Tensor, real: Tensor) -> Tensor:
    """x (B, T, dim), real (B, T): only batch norm has to know which frames are real."""
    out: Tensor = layer(x, real) if isinstance(layer, BatchNorm) else layer(x)
    return out


class RMSNorm(nn.RMSNorm):
    """x / √(mean of x² + ε) · weight (Zhang & Sennrich 2019), in the type of x: (..., dim) -> (..., dim)."""

    def __init__(self, dim: int, eps: float = 1e-5):
        super().__init__(dim, eps)

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.normalized_shape, self.weight.to(x.dtype), self.eps)


class BatchNorm(nn.Module):
    """Batch normalization (Ioffe & Szegedy 2015) over the real frames: (x - mean) / √(variance + ε) · weight + bias.

    In training the statistics are those of the real frames of the batch, so that padding does not count, but not of the
    other passes and processes of a step; in use the moving averages of what was seen in training, so that the rest of
    the batch does not count.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, dim: int, momentum: float = 0.1, eps: float = 1e-5):
        super().__init__()
        self.momentum, self.eps = momentum, eps
        self.weight = nn.Parameter(torch.ones(dim))
        self.bias = nn.Parameter(torch.zeros(dim))
        self.register_buffer("running_mean", torch.zeros(dim))
        self.register_buffer("running_var", torch.ones(dim))

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        """x (B, T, dim), real (B, T) -> (B, T, dim) in the type of x."""
        mean, var = self._statistics(x, real) if self.training else (self.running_mean, self.running_var)
        gain = self.weight * torch.rsqrt(var + self.eps)
        return torch.addcmul(self.bias - mean * gain, x, gain).to(x.dtype)

    def _statistics(self, x: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance (dim,) in float32; both averages follow them."""
        x, seen = x.float(), real[..., None]
        count = real.sum()
        mean = (x * seen).sum((0, 1)) / count.clamp(min=1)
        var = ((x - mean).square() * seen).sum((0, 1)) / count.clamp(min=1)
        with torch.no_grad():
            known = mean.isfinite() & var.isfinite() & (count > 1)  # one frame has no variance
            unbiased = var * count / (count - 1).clamp(min=1)
            for average, new in ((self.running_mean, mean), (self.running_var, unbiased)):
                average.copy_(torch.where(known, average.lerp(new, self.momentum), average))
        return mean, var
