"""Back-pointers of a beam search, kept in tensors, and the backtrace at its end."""

import heapq
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from asrattn.decoding.hypothesis import Hypothesis


class BeamStep(NamedTuple):
    """The hypotheses of one length: b utterances, K of each.

    utterances        the indices of the utterances
    parents           (b, K): the slot of the hypothesis that each one extends
    tokens            (b, K): the token it is extended by
    end_scores        (b, K): the score of each if it ends here, -inf if it must not
    component_scores  (b, P, K): the log-probabilities by each scorer if it ends here
    """

    utterances: Sequence[int]
    parents: Tensor
    tokens: Tensor
    end_scores: Tensor
    component_scores: Tensor


def backtrace(steps: Sequence[BeamStep], names: Sequence[str], nbest: int) -> list[list[Hypothesis]]:
    """The n-best hypotheses of each utterance; an empty one with score -inf if no end was possible."""
    ends = _fetch([step.end_scores for step in steps])
    parents = _fetch([step.parents for step in steps])
    tokens = _fetch([step.tokens for step in steps])
    parts = torch.cat([step.component_scores.transpose(1, 2).flatten(0, 1) for step in steps]).tolist()
    # Hypotheses are numbered through all steps; starts[b][u] is the first one of utterance b with u tokens.
    starts: list[list[int]] = [[] for _ in steps[0].utterances]
    first = 0
    for step in steps:
        K = step.end_scores.shape[1]
        for row, member in enumerate(step.utterances):
            starts[member].append(first + row * K)
        first += step.end_scores.numel()
    widths = [step.end_scores.shape[1] for step in steps]

    def hypothesis(length: int, place: int, start: list[int]) -> Hypothesis:
        score, shares = ends[place], dict(zip(names, parts[place], strict=True))
        path = []
        for u in range(length, 0, -1):
            path.append(tokens[place])
            place = start[u - 1] + parents[place]
        return Hypothesis(tuple(reversed(path)), score, shares)

    found = []
    for start in starts:
        places = [(u, at) for u, begin in enumerate(start) for at in range(begin, begin + widths[u])]
        best = heapq.nlargest(nbest, places, key=lambda place: ends[place[1]])
        possible = [hypothesis(u, at, start) for u, at in best if ends[at] > -torch.inf]
        found.append(possible or [Hypothesis((), -torch.inf, dict.fromkeys(names, -torch.inf))])
    return found


def _fetch(tensors: Sequence[Tensor]) -> list[Any]:
    return torch.cat([tensor.flatten() for tensor in tensors]).tolist()
