"""Convolutions over frames."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asrattn.config import check
from asrattn.layers.activation import project_activated
from asrattn.layers.config import Norm
from asrattn.layers.linear import Linear
from asrattn.layers.norm import apply_norm, build_norm

MIN_ONEDNN_BF16_CHANNELS = 32  # channels, below which oneDNN's bfloat16 kernel may never return


class Depthwise(nn.Conv2d):
    """Each channel convolved with a kernel of its own, around the frame: (B, T, dim) -> (B, T, dim).

    What stands on padding must be zero, or it leaks in through the kernel.
    """

    def __init__(self, dim: int, kernel: int):
        check(kernel > 0 and kernel % 2 == 1, f"kernel {kernel} must be odd, so that it has a middle")
        # Two-dimensional, with a height of one: three times as fast on a CPU as nn.Conv1d.
        super().__init__(dim, dim, (1, kernel), padding=(0, kernel // 2), groups=dim)

    def forward(self, x: Tensor) -> Tensor:
        channels_first = x.transpose(1, 2)[:, :, None]
        if x.device.type == "cpu" and self.out_channels < MIN_ONEDNN_BF16_CHANNELS:
            return self._exact(channels_first)[:, :, 0].transpose(1, 2).to(x.dtype)
        return super().forward(channels_first)[:, :, 0].transpose(1, 2)

    def _exact(self, x: Tensor) -> Tensor:
        """In float32, whatever the precision around it."""
        with torch.autocast("cpu", enabled=False):
            bias = None if self.bias is None else self.bias.float()
            return F.conv2d(x.float(), self.weight.float(), bias, 1, self.padding, 1, self.groups)


class Convolution(nn.Module):
    """The convolution module of the Conformer (Gulati et al. 2020): x (B, T, D), mask (B, T) -> (B, T, D).

    The paper has batch norm. Layer norm, whose statistics do not depend on the rest of the batch, is the usual choice
    of this house; there is RMS norm too.
    """

    def __init__(self, dim: int, kernel: int, kind: Norm = "layer"):
        super().__init__()
        self.gate = Linear(dim, 2 * dim)
        self.depthwise = Depthwise(dim, kernel)
        self.norm = build_norm(kind, dim)
        self.out = Linear(dim, dim)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = F.glu(self.gate(x), dim=-1) * mask[..., None]  # padding must not leak in through the kernel
        x = self.depthwise(x)
        return project_activated(apply_norm(self.norm, x, mask), self.out)
