"""Small attentions of every member of the union, and utterances for them to look at."""

from dataclasses import fields, replace
from typing import Any, get_args, get_type_hints

import torch
from torch import Tensor

from asrattn.attention import AttentionConfig
from asrattn.attention.interface import build as build_attention
from asrattn.decoding.scorers import select_rows

Q, D, T = 6, 10, 9
LENS = torch.tensor([9, 5])
SIZES: dict[str, Any] = {
    "dim": 8,
    "filters": 3,
    "kernel": 5,
    "components": 3,
    "chunk": 3,
    "reach": 3,
    "noise": 0.0,
}


def small(member: type, **settings: Any) -> Any:
    names = {f.name for f in fields(member)}
    return member(**{k: v for k, v in (SIZES | settings).items() if k in names})


def members() -> list[Any]:
    """Every kind that the union knows, and all that have heads with two of them."""
    found = []
    for member in get_args(AttentionConfig):
        for kind in get_args(get_type_hints(member)["kind"]):
            one = small(member, kind=kind, heads=1)
            found += [one, replace(one, heads=2)] if hasattr(one, "heads") else [one]
    return found


def make(config: Any, seed: int = 1) -> Any:
    torch.manual_seed(seed)
    return build_attention(config, Q, D).double()


def utterances() -> tuple[Tensor, Tensor]:
    """values (2, T, D), mask (2, T)."""
    torch.manual_seed(2)
    mask = torch.arange(T) < LENS[:, None]
    return torch.randn(2, T, D, dtype=torch.double) * mask[..., None], mask


def queries(steps: int, K: int = 1) -> list[Tensor]:
    """So many steps of (2·K, Q)."""
    torch.manual_seed(3)
    return list(2 * torch.randn(steps, 2 * K, Q, dtype=torch.double))


def run_steps(
    attend: Any, asked: list[Tensor], values: Tensor, mask: Tensor
) -> tuple[list[Tensor], list[Tensor], Any]:
    """Contexts and weights of all steps, and the last state; all hypotheses of an utterance begin alike."""
    memory = attend.prepare(values, mask)
    rows = torch.arange(len(values)).repeat_interleave(len(asked[0]) // len(values))
    state = select_rows(attend.start(memory), rows)
    contexts, weights = [], []
    for query in asked:
        context, where, state = attend(query, memory, state)
        contexts.append(context)
        assert where.shape[:2] == (
            len(query),
            getattr(getattr(attend, "heads", 1), "count", getattr(attend, "heads", 1)),
        )
        weights.append(where.mean(1))
    return contexts, weights, state
