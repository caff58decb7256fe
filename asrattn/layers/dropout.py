"""Dropout, with a cheap mask on CPUs."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asrattn.config import check


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
