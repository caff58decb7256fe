"""Multi-head self-attention."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asrattn.config import check
from asrattn.layers.attention_span import local_attention, sparse_attention
from asrattn.layers.config import (
    AttentionSpan,
    FullAttentionConfig,
    LocalAttentionConfig,
    SparseAttentionConfig,
)
from asrattn.layers.dropout import Dropout
from asrattn.layers.kv_cache import KeyValues
from asrattn.layers.linear import Linear
from asrattn.layers.positions import RelativePositions, rotate
from asrattn.layers.scaled_dot import scaled_dot


class SelfAttention(nn.Module):
    """Multi-head scaled dot-product attention of a sequence to itself (Vaswani et al. 2017).

    rotary, relative   positions inside of the attention, besides those added to x
    span               which frames one sees; only the full one has steps, and masks with a row for each query
                       (there are no steps with relative positions either)
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        dropout: float,
        rotary: bool,
        relative: bool = False,
        span: AttentionSpan = FullAttentionConfig(),  # noqa: B008 (frozen)
    ):
        super().__init__()
        check(dim % heads == 0, f"dim {dim} is no multiple of heads {heads}")
        check(
            not rotary or dim // heads % 2 == 0,
            f"rotary positions need an even dim/heads, not {dim // heads}",
        )
        self.heads, self.rotary, self.span = heads, rotary, span
        self.qkv = Linear(dim, 3 * dim)
        self.out = Linear(dim, dim)
        self.relative = RelativePositions(dim, heads) if relative else None
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor, log_weights: Tensor | None = None) -> Tensor:
        """x (B, L, D), mask (B or 1, 1 or L, L) True where query l may see key l'; -> (B, L, D).

        log_weights (B, L): log of how often each key counts in the softmax; with the full span alone.
        """
        query, keys, values = self._project(x, 0)
        match self.span:
            case FullAttentionConfig():
                out = self._attend(query, keys, values, mask[:, None], 0, x.shape[1], log_weights)
            case LocalAttentionConfig():
                out = local_attention(self._attend, query, keys, values, mask[:, 0], self.span)
            case SparseAttentionConfig():
                out = sparse_attention(self._attend, query, keys, values, mask[:, 0], self.span)
        return self._merge(out)

    def step(self, x: Tensor, nodes: KeyValues, path_mask: Tensor, position: int) -> tuple[Tensor, KeyValues]:
        """The next token of each hypothesis: x (N, D) at `position` after the S nodes, N = B·K; paths (B, K, S + K).

        -> (N, D), and the nodes with the K new ones.
        """
        B, K, _ = path_mask.shape
        assert self.relative is None  # the distances in a tree are not those of its nodes
        query, keys, values = (
            each.view(B, K, self.heads, -1).transpose(1, 2) for each in self._project(x[:, None], position)
        )
        nodes = KeyValues(torch.cat((nodes.keys, keys), dim=2), torch.cat((nodes.values, values), dim=2))
        out = self._attend(query, nodes.keys, nodes.values, path_mask[:, None], position, nodes.keys.shape[2])
        return self._merge(out).flatten(0, 1), nodes

    def _project(self, x: Tensor, start: int) -> tuple[Tensor, Tensor, Tensor]:
        B, L, D = x.shape
        qkv = self.qkv(x).view(B, L, 3, self.heads, D // self.heads).permute(2, 0, 3, 1, 4)
        pair, values = qkv.split((2, 1))
        query, keys = (rotate(pair, start) if self.rotary else pair).unbind()
        return query, keys, values[0]

    def _attend(
        self,
        query: Tensor,
        keys: Tensor,
        values: Tensor,
        mask: Tensor | None,
        start: int,
        placed: int,
        log_weights: Tensor | None = None,
    ) -> Tensor:
        """As `reach.Attend` says."""
        bias = None
        if self.relative is not None:
            query, bias = self.relative(query, start, placed)
            bias = F.pad(bias, (0, keys.shape[2] - placed))
        if log_weights is not None:
            counted = log_weights[:, None, None].to(query.dtype)
            bias = counted if bias is None else bias + counted
        drops = self.training and self.dropout.p > 0
        if query.device.type == "cpu" and (drops or query.dtype == torch.bfloat16):
            # The fused kernel has no dropout there, and in bfloat16 two products and a softmax are a third faster.
            hidden = None if mask is None else _hidden(mask, values.dtype)
            added = hidden if bias is None else bias if hidden is None else bias + hidden
            return scaled_dot(query, keys, values, added, self.dropout)
        if bias is not None:
            mask = bias if mask is None else bias + _hidden(mask, bias.dtype)
        p = self.dropout.p if self.training else 0.0
        out: Tensor = F.scaled_dot_product_attention(query, keys, values, attn_mask=mask, dropout_p=p)
        return out

    def _merge(self, x: Tensor) -> Tensor:
        out: Tensor = self.out(x.transpose(1, 2).flatten(2))
        return out


def _hidden(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """What to add to scores: 0 where the mask is True, next to nothing elsewhere."""
    return torch.zeros_like(mask, dtype=dtype).masked_fill_(~mask, torch.finfo(dtype).min)
