"""Batched beam search over any decoder, jointly with CTC prefix scores and other scorers.

All hypotheses of all utterances are one batch, and nothing loops over them. Every hypothesis offers its own end at
every length and the beam goes to those that continue, so that a wide enough beam is an exhaustive search.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from asrattn.decoding.backtrace import BeamStep, backtrace
from asrattn.decoding.config import DecodingConfig
from asrattn.decoding.early_stop import ScoreUpperBound
from asrattn.decoding.hypothesis import Hypothesis
from asrattn.decoding.joint_scorer import JointScorer
from asrattn.decoding.scorers import StepwiseDecoder, WeightedScorer, select_rows
from asrattn.text import BLANK, EOS

# Decided utterances leave the batch when what goes on is at most this share of it: moving the memory has its price too.
MAX_ACTIVE_FRACTION = 7 / 8


class Beam(NamedTuple):
    """The hypotheses that run, K for each utterance, in falling order.

    parents, tokens (B, K): which hypothesis was made longer, and by which token; totals (B, K): weighted sum of the
    parts (B, P, K), with the length bonus; ended (B, nbest): the best ranks among those that have ended.
    """

    parents: Tensor
    tokens: Tensor
    totals: Tensor
    component_scores: Tensor
    finished_scores: Tensor

    @classmethod
    def empty(cls, B: int, P: int, nbest: int, device: torch.device) -> Self:
        """One empty hypothesis for each utterance."""
        parents = torch.zeros(B, 1, dtype=torch.int64, device=device)
        totals = torch.zeros(B, 1, dtype=torch.float64, device=device)
        ended = totals.new_full((B, nbest), -torch.inf)
        return cls(parents, parents + EOS, totals, totals.new_zeros(B, P, 1), ended)

    def expand_and_prune(
        self, scores: Tensor, parts: Sequence[Tensor], ends: Tensor, config: DecodingConfig
    ) -> Self:
        """scores (B, K, V) of every continuation, which it overwrites, P parts (B, K, V), ends (B, K) -> the next."""
        V = scores.shape[2]
        ended = torch.cat((self.finished_scores, ends), 1).topk(self.finished_scores.shape[1]).values
        scores[..., : max(BLANK, EOS) + 1] = -torch.inf
        scores = scores.flatten(1)
        totals, chosen = scores.topk(min(config.beam_size, scores.shape[1]))
        parents = chosen // V
        past = self.component_scores.gather(2, parents[:, None].expand(-1, len(parts), -1))
        new = torch.stack([part.flatten(1).gather(1, chosen) for part in parts], 1)
        return type(self)(parents, chosen % V, totals + config.length_bonus, past + new, ended)


@torch.inference_mode()
def beam_search(
    decoder: StepwiseDecoder[Any, Any] | None,
    enc: Tensor,
    lens: Tensor,
    ctc_log_probs: Tensor | None,
    config: DecodingConfig,
    scorers: Sequence[WeightedScorer] = (),
) -> list[list[Hypothesis]]:
    """enc (B, T, D), lens (B,), CTC log-probabilities (B, T, V) or None -> `config.nbest` of each, best first.

    Without CTC log-probabilities the decoder alone decides; with ctc = 1 it is not asked and may be None. An utterance
    of no frames is heard as nothing, with score 0. The result does not depend on the other utterances of the batch.
    Raises ConfigError if nothing is left to search with.
    """
    joint = JointScorer(decoder, config, ctc_log_probs is not None, scorers)
    counts = lens.tolist()
    heard = [b for b, count in enumerate(counts) if count > 0]
    if len(heard) < len(counts):
        rows = torch.tensor(heard, dtype=torch.int64, device=lens.device)
        enc, lens, ctc_log_probs = select_rows((enc, lens, ctc_log_probs), rows)
    found = [[Hypothesis((), 0.0, dict.fromkeys(joint.names, 0.0))] for _ in counts]
    if heard:
        steps = _search(joint, enc, lens, ctc_log_probs, config)
        for b, hypotheses in zip(heard, backtrace(steps, joint.names, config.nbest), strict=True):
            found[b] = hypotheses
    return found


def _search(
    joint: JointScorer, enc: Tensor, lens: Tensor, ctc_log_probs: Tensor | None, config: DecodingConfig
) -> list[BeamStep]:
    """enc (B, T, D), every utterance of at least one frame -> the hypotheses of every length."""
    B = len(enc)
    members = list(range(B))
    limits = [max(int(count * config.max_length), config.min_length, 1) for count in lens.tolist()]
    longest = max(limits)
    bound = ScoreUpperBound(joint, config, limits, lens, ctc_log_probs)
    memory = joint.prepare(enc, lens, ctc_log_probs)
    state = joint.start(memory, B)
    front = Beam.empty(B, len(joint.names), config.nbest, enc.device)
    places = torch.arange(B, device=enc.device)
    steps: list[BeamStep] = []
    for length in range(longest + 1):
        scores, parts, state = joint.score(front.tokens.flatten(), front.totals, state, memory)
        K = scores.shape[1]
        ends = _ends(scores, length, config)
        steps.append(
            BeamStep(members, front.parents, front.tokens, ends, front.component_scores + _pick(parts, EOS))
        )
        if length == longest:
            break
        front = front.expand_and_prune(scores, parts, ends, config)
        over = (
            bound.upper_bound(front.totals, front.component_scores, length + 1)
            <= front.finished_scores[:, -1]
        ).tolist()
        running = [row for row, b in enumerate(members) if not over[row] and length < limits[b]]
        if not running:
            break
        rows = places[: len(members)]
        if len(running) <= MAX_ACTIVE_FRACTION * len(members):
            members = [members[row] for row in running]
            rows = torch.tensor(running, device=enc.device)
            front, memory = select_rows((front, memory), rows)
            bound.select_utterances(rows)
        elif len(running) < len(members):
            front.totals[[row for row in range(len(members)) if row not in running]] = -torch.inf
        state = select_rows(state, torch.add(front.parents, rows[:, None], alpha=K))
    return steps


def _ends(scores: Tensor, length: int, config: DecodingConfig) -> Tensor:
    """scores (B, K, V) of hypotheses of `length` tokens -> what they are ranked by if they end here (B, K)."""
    if length < config.min_length:
        return torch.full_like(scores[..., EOS], -torch.inf)
    ends: Tensor = scores[..., EOS] * (length + 1) ** -config.length_norm
    return ends


def _pick(parts: Sequence[Tensor], token: int) -> Tensor:
    """P parts of (B, K, V) -> their log-probabilities of one token (B, P, K)."""
    return torch.stack([part[..., token] for part in parts], 1)
