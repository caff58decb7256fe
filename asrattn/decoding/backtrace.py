"""What a beam search leaves behind: who came from whom. Kept in tensors, read once at the end."""

import heapq
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from asrattn.decoding.hypothesis import Hypothesis


class BeamStep(NamedTuple):
    """The hypotheses of one length: b utterances, K of each.

    members   which utterances these are
    parents   (b, K): the slot of the hypothesis that each of them made longer
    tokens    (b, K): by this token
    ends      (b, K): what each would be ranked by if it ended here, -inf where it must not
    parts     (b, P, K): the log-probabilities of its parts if it ended here
    """

    utterances: Sequence[int]
    parents: Tensor
    tokens: Tensor
    end_scores: Tensor
    component_scores: Tensor


def backtrace(steps: Sequence[BeamStep], names: Sequence[str], nbest: int) -> list[list[Hypothesis]]:
    """The best of each utterance; one that is empty and scores -inf where no end was possible."""
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
