"""Dropout, with a cheap mask on CPUs."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asrattn.config import check

_PLACES = 2**19  # where in the row a mask may begin
_BLOCK = 2**20  # numbers of the row that are drawn at a time


class Dropout(nn.Module):
    """Dropout with a cheap mask on CPUs.

    Random numbers cost more than the layers around them there. So a mask is cut, at a random place, out of a
    row of them that is drawn once; it takes no memory of its own either. Elsewhere this is torch's own dropout.
    """

    def __init__(self, p: float):
        super().__init__()
        check(0 <= p < 1, f"dropout is {p}; it must lie in [0, 1)")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        mask = self.mask(x)
        return F.dropout(x, self.p, self.training) if mask is None else x * mask

    def add(self, residual: Tensor, x: Tensor, share: float = 1.0) -> Tensor:
        """residual + share · dropout(x), in one pass over the memory."""
        mask = self.mask(x)
        if mask is None:
            return torch.add(residual, self(x), alpha=share)
        return torch.addcmul(residual, x, mask, value=share)

    def mask(self, x: Tensor) -> Tensor | None:
        """What x is multiplied with, drawn anew; none where nothing is dropped, or torch's own dropout does it."""
        if not (self.training and self.p and x.device.type == "cpu"):
            return None
        start = int(torch.randint(_PLACES, ()))
        row = _row(self.p, x.dtype, _PLACES + x.numel())
        return row[start : start + x.numel()].view(x.shape)


_rows: dict[tuple[float, torch.dtype], Tensor] = {}


def _row(p: float, dtype: torch.dtype, length: int) -> Tensor:
    """(>= length,): 0 with probability p, else 1 / (1 - p).

    Each place always holds the same, however long the row has become, so that a seed means the same anywhere.
    """
    row = _rows.get((p, dtype))
    if row is None or len(row) < length:
        with torch.inference_mode(False):
            seeded = [torch.Generator().manual_seed(block) for block in range(-(-length // _BLOCK))]
            drawn = torch.cat([torch.rand(_BLOCK, generator=each) >= p for each in seeded])
            row = _rows[p, dtype] = drawn.to(dtype).div_(1 - p)
    return row


def dropout_rows() -> list[Tensor]:
    """The rows that masks are cut from: one for each share and type, whatever the number of layers and passes."""
    return list(_rows.values())
