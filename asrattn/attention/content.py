"""Content-based attention: dot, general, additive, concat and cosine."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asrattn.attention.additive_score import additive_scores
from asrattn.attention.config import (
    AdditiveAttentionConfig,
    ConcatAttentionConfig,
    CosineAttentionConfig,
    DotAttentionConfig,
    GeneralAttentionConfig,
)
from asrattn.attention.heads import Heads
from asrattn.attention.memory import Memory, Stateless, at_least_float32, masked_softmax, weighted_sum
from asrattn.config import check


class DotAttention(nn.Module):
    """e_t = (W s)ᵀ (V h_t), divided by √dim when scaled (Luong et al. 2015; Vaswani et al. 2017)."""

    def __init__(self, config: DotAttentionConfig, query: int, values: int):
        super().__init__()
        self.dim = values
        self.query = nn.Linear(query, config.dim, bias=False)
        self.key = nn.Linear(values, config.dim, bias=False)
        self.scale = 1 / math.sqrt(config.dim) if config.scaled else 1.0

    def prepare(self, values: Tensor, mask: Tensor) -> Memory:
        return Memory(self.key(values)[:, None], values[:, None], mask)

    def start(self, memory: Memory) -> Stateless:
        return ()

    def forward(self, query: Tensor, memory: Memory, state: Stateless) -> tuple[Tensor, Tensor, Stateless]:
        keys = memory.keys
        queries = self.query(query).view(len(keys), 1, -1, keys.shape[-1])
        weights = masked_softmax(queries @ keys.transpose(-1, -2) * self.scale, memory.mask)
        return weighted_sum(weights, memory.values), weights.flatten(0, 2)[:, None], ()


class GeneralAttention(nn.Module):
    """e_t = sᵀ W h_t (Luong et al. 2015); of head i: s_iᵀ W_i h_t, with s_i its share of s.

    W = K / √Q, with K what is learnt and Q the size of a head's s: so Adam, whose steps know no size, does not drive
    the scores to where softmax is flat.
    """

    def __init__(self, config: GeneralAttentionConfig, query: int, values: int):
        super().__init__()
        check(query % config.heads == 0, f"the decoder's dim {query} is no multiple of heads {config.heads}")
        self.dim = values
        self.heads = Heads(values, config.heads)
        self.key = nn.Linear(values, query, bias=False)
        self.scale = 1 / math.sqrt(query / config.heads)

    def prepare(self, values: Tensor, mask: Tensor) -> Memory:
        return self.heads.prepare(self.key(values) * self.scale, values, mask)

    def start(self, memory: Memory) -> Stateless:
        return ()

    def forward(self, query: Tensor, memory: Memory, state: Stateless) -> tuple[Tensor, Tensor, Stateless]:
        queries = self.heads.split_queries(query, memory).to(memory.keys.dtype)
        context, looks = self.heads.attend(queries @ memory.keys.transpose(-1, -2), memory)
        return context, looks, ()


class AdditiveAttention(nn.Module):
    """e_t = vᵀ tanh(W s + V h_t + b) (Bahdanau et al. 2015); each head has its share of the hidden layer.

    It is also the concat score vᵀ tanh(A [s; h_t]) of Luong et al. (2015), with A = [W V].
    """

    def __init__(self, config: AdditiveAttentionConfig, query: int, values: int):
        super().__init__()
        self.dim = values
        self.heads = Heads(values, config.heads)
        self.query = nn.Linear(query, config.dim, bias=False)
        self.key = nn.Linear(values, config.dim)
        self.score = nn.Linear(config.dim, 1, bias=False)

    def prepare(self, values: Tensor, mask: Tensor) -> Memory:
        return self.heads.prepare(2 * self.key(values), values, mask)

    def start(self, memory: Memory) -> Stateless:
        return ()

    def forward(self, query: Tensor, memory: Memory, state: Stateless) -> tuple[Tensor, Tensor, Stateless]:
        scores = additive_scores(self.query(query), memory.keys, self.score.weight)
        context, looks = self.heads.attend(scores, memory)
        return context, looks, ()


class ConcatAttention(nn.Module):
    """e_t = wᵀ [s; h_t] = w_sᵀ s + w_hᵀ h_t, the concat score of Luong et al. (2015) without its vᵀ tanh(·).

    The query adds the same to every frame, so the softmax takes it out again: all tokens read one learnt mean of the
    frames. With the tanh between, it is `additive`.
    """

    def __init__(self, config: ConcatAttentionConfig, query: int, values: int):
        super().__init__()
        self.dim = values
        self.heads = Heads(values, config.heads)
        self.query = nn.Linear(query, config.heads, bias=False)
        self.key = nn.Linear(values, config.heads, bias=False)

    def prepare(self, values: Tensor, mask: Tensor) -> Memory:
        return self.heads.prepare(self.key(values), values, mask)

    def start(self, memory: Memory) -> Stateless:
        return ()

    def forward(self, query: Tensor, memory: Memory, state: Stateless) -> tuple[Tensor, Tensor, Stateless]:
        scores = self.heads.split_queries(self.query(query), memory) + memory.keys.transpose(-1, -2)
        context, looks = self.heads.attend(scores, memory)
        return context, looks, ()


class CosineAttention(nn.Module):
    """e_t = g · cos(W s, V h_t) (Graves et al. 2014; Henry et al. 2020); g > 0 is learnt, one for each head.

    It begins at 10: scores between -10 and 10 leave room for sharp weights as well as for even ones.
    """

    def __init__(self, config: CosineAttentionConfig, query: int, values: int):
        super().__init__()
        self.dim = values
        self.heads = Heads(values, config.heads)
        self.query = nn.Linear(query, config.dim, bias=False)
        self.key = nn.Linear(values, config.dim, bias=False)
        self.log_scale = nn.Parameter(torch.full((config.heads, 1, 1), math.log(10)))

    def prepare(self, values: Tensor, mask: Tensor) -> Memory:
        memory = self.heads.prepare(self.key(values), values, mask)
        return memory._replace(keys=_unit(memory.keys))

    def start(self, memory: Memory) -> Stateless:
        return ()

    def forward(self, query: Tensor, memory: Memory, state: Stateless) -> tuple[Tensor, Tensor, Stateless]:
        queries = _unit(self.heads.split_queries(self.query(query), memory))
        scores = at_least_float32(queries @ memory.keys.transpose(-1, -2)) * self.log_scale.exp()
        context, looks = self.heads.attend(scores, memory)
        return context, looks, ()


def _unit(x: Tensor) -> Tensor:
    """x (..., A) divided by its length, which half precision cannot sum up."""
    return F.normalize(at_least_float32(x), dim=-1).to(x.dtype)
