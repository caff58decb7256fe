"""Attention span: full, local (a window) or sparse (blocks and global frames).

The restricted forms are computed in blocks, so that time and memory grow linearly with the length.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from asrattn.layers.config import LocalAttentionConfig, SparseAttentionConfig

MIN_BLOCK_FRAMES = 16  # frames in a block: products of less are not worth their call


# attend(query (N, H, Q, d), keys and values (N, H, K, d), mask (N, 1, 1 or Q, K), start, placed) -> (N, H, Q, d).
# start is the place of the first query, seen from the first key; only the first `placed` keys have a place.
Attend = Callable[[Tensor, Tensor, Tensor, Tensor, int, int], Tensor]


def local_attention(
    attend: Attend, query: Tensor, keys: Tensor, values: Tensor, real: Tensor, config: LocalAttentionConfig
) -> Tensor:
    """query, keys, values (B, H, L, d), real (B, L) -> (B, H, L, d)."""
    size = max(config.window, MIN_BLOCK_FRAMES)
    at = torch.arange(3 * size, device=real.device)
    near = (at - size - at[:size, None]).abs() <= config.window
    mask = _around(real[:, None, :, None], size)[..., 0][:, :, None] & near
    out = attend(_blocks(query, size), _around(keys, size), _around(values, size), mask, size, 3 * size)
    return _joined(out, query)


def sparse_attention(
    attend: Attend, query: Tensor, keys: Tensor, values: Tensor, real: Tensor, config: SparseAttentionConfig
) -> Tensor:
    """query, keys, values (B, H, L, d), real (B, L) -> (B, H, L, d)."""
    size, (L, d) = config.block, query.shape[2:]
    blocks = -(-L // size)
    at, new = global_frame_positions(real.sum(1), config.global_frames)
    rows = at[:, None, :, None].expand(-1, query.shape[1], -1, d)
    keys_seen, values_seen = (
        torch.cat((_around(x, size), _each(x.gather(2, rows), blocks)), dim=2) for x in (keys, values)
    )
    block = torch.arange(blocks, device=real.device)[:, None]
    far = new[:, None] & ((at[:, None] // size - block).abs() > 1)  # (B, n, G): those nearer are seen already
    near = _around(real[:, None, :, None], size)[:, 0, :, 0]
    mask = torch.cat((near, far.flatten(0, 1)), dim=1)[:, None, None]
    out = _joined(attend(_blocks(query, size), keys_seen, values_seen, mask, size, 3 * size), query)
    whole = attend(query.gather(2, rows), keys, values, real[:, None, None], 0, 0)
    # A frame named twice is written behind the end, which is cut off.
    places = torch.where(new, at, L)[:, None, :, None].expand_as(rows)
    return F.pad(out, (0, 0, 0, 1)).scatter(2, places, whole)[:, :, :L]


def global_frame_positions(lens: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """lens (B,) -> the numbers (B, count) of the middle frames of so many equal parts of each utterance, and which of
    them (B, count) are not named a second time, as they would be in a short one."""
    parts = 2 * torch.arange(count, device=lens.device) + 1
    at = parts * lens[:, None] // (2 * count)
    return at, F.pad(at[:, 1:] > at[:, :-1], (1, 0), value=True) & (lens > 0)[:, None]


def _blocks(x: Tensor, size: int) -> Tensor:
    """(B, H, L, d) -> (B·n, H, size, d): n blocks, the last one filled up."""
    x = torch.unflatten(F.pad(x, (0, 0, 0, -x.shape[2] % size)), 2, (-1, size))
    return x.transpose(1, 2).flatten(0, 1)


def _around(x: Tensor, size: int) -> Tensor:
    """(B, H, L, d) -> (B·n, H, 3·size, d): each block between its neighbours."""
    x = torch.unflatten(F.pad(x, (0, 0, size, size + -x.shape[2] % size)), 2, (-1, size))
    x = torch.cat((x[:, :, :-2], x[:, :, 1:-1], x[:, :, 2:]), dim=3)
    return x.transpose(1, 2).flatten(0, 1)


def _each(x: Tensor, blocks: int) -> Tensor:
    """(B, ...) -> (B·n, ...): the same for each block."""
    return x[:, None].expand(-1, blocks, *x.shape[1:]).flatten(0, 1)


def _joined(x: Tensor, like: Tensor) -> Tensor:
    """(B·n, H, size, d) -> (B, H, L, d)."""
    B, _, L, _ = like.shape
    return torch.unflatten(x, 0, (B, -1)).transpose(1, 2).flatten(2, 3)[:, :, :L]
