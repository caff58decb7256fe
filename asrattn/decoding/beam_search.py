"""Beam search and its pruning, batched, over any decoder, with CTC prefix scores and shallow fusion of other scorers.

All hypotheses of all utterances are one batch, without loops over them. Every hypothesis may end at
every length, and only continuing ones occupy the beam, so that a wide enough beam is an exhaustive search.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from asrattn.decoding.backtrace import BeamStep, backtrace
from asrattn.decoding.config import DecodingConfig
from asrattn.decoding.early_stop import ScoreUpperBound
from asrattn.decoding.hypothesis import Hypothesis
from asrattn.decoding.joint_scorer import Expansions, JointScorer
from asrattn.decoding.scorers import StepwiseDecoder, WeightedScorer, select_rows
from asrattn.text import BLANK, EOS

# Finished utterances leave the batch if at most this fraction of it still runs: moving the memory has a cost too.
MAX_ACTIVE_FRACTION = 7 / 8


class Beam(NamedTuple):
    """The running hypotheses (the beam), K for each utterance, best first.

    parents, tokens (B, K): the extended hypothesis and the new token; totals (B, K): weighted sum of component_scores
    (B, P, K), with the length bonus; finished_scores (B, nbest): the best scores of finished hypotheses.
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

    def finish(self, ends: Tensor) -> Self:
        """With the scores (B, K) of the hypotheses that end here."""
        best = torch.cat((self.finished_scores, ends), 1).topk(self.finished_scores.shape[1]).values
        return self._replace(finished_scores=best)

    def expand_and_prune(self, found: Expansions, config: DecodingConfig) -> Self:
        """One step of beam pruning: keep the `beam_size` best continuations of each utterance.

        Continuations (B, K, C), whose scores are overwritten -> the next beam.
        """
        tokens, scores, parts, *_ = found
        C = scores.shape[2]
        if tokens is None:
            scores[..., : max(BLANK, EOS) + 1] = -torch.inf
        else:
            scores = scores.masked_fill(tokens <= max(BLANK, EOS), -torch.inf)
        scores = scores.flatten(1)
        totals, chosen = scores.topk(min(config.beam_size, scores.shape[1]))
        parents = chosen // C
        past = self.component_scores.gather(2, parents[:, None].expand(-1, len(parts), -1))
        new = torch.stack([part.flatten(1).gather(1, chosen) for part in parts], 1)
        tokens = chosen % C if tokens is None else tokens.flatten(1).gather(1, chosen)
        return type(self)(parents, tokens, totals + config.length_bonus, past + new, self.finished_scores)


@torch.inference_mode()
def beam_search(
    decoder: StepwiseDecoder[Any, Any] | None,
    enc: Tensor,
    lens: Tensor,
    ctc_log_probs: Tensor | None,
    config: DecodingConfig,
    scorers: Sequence[WeightedScorer] = (),
    labels: Tensor | None = None,
) -> list[list[Hypothesis]]:
    """enc (B, T, D), lens (B,), CTC log-probabilities (B, T, V) or None -> `config.nbest` of each, best first.

    A hypothesis has at most `config.max_length` tokens per frame, and at most `decoder.max_tokens`.
    labels: the CTC labels of every token (V, L), padded with -1, if they are others than the tokens.

    Without CTC log-probabilities the decoder is used alone; with ctc = 1 it is not used and may be None. An utterance
    without frames yields the empty hypothesis with score 0. The result does not depend on the rest of the batch.
    Raises ConfigError if there is neither a decoder nor CTC, and for ctc = 1 with labels.
    """
    joint = JointScorer(decoder, config, ctc_log_probs is not None, scorers, labels)
    counts = lens.tolist()
    nonempty = [b for b, count in enumerate(counts) if count > 0]
    if len(nonempty) < len(counts):
        rows = torch.tensor(nonempty, dtype=torch.int64, device=lens.device)
        enc, lens, ctc_log_probs = select_rows((enc, lens, ctc_log_probs), rows)
    found = [[Hypothesis((), 0.0, dict.fromkeys(joint.names, 0.0))] for _ in counts]
    if nonempty:
        steps = _search(joint, enc, lens, ctc_log_probs, config)
        for b, hypotheses in zip(nonempty, backtrace(steps, joint.names, config.nbest), strict=True):
            found[b] = hypotheses
    return found


def _search(
    joint: JointScorer, enc: Tensor, lens: Tensor, ctc_log_probs: Tensor | None, config: DecodingConfig
) -> list[BeamStep]:
    """enc (B, T, D), every utterance with at least one frame -> the hypotheses of every length."""
    B = len(enc)
    active = list(range(B))
    limits = [max(int(count * config.max_length), config.min_length, 1) for count in lens.tolist()]
    if joint.max_tokens is not None:
        limits = [min(limit, joint.max_tokens) for limit in limits]
    longest = max(limits)
    bound = ScoreUpperBound(joint, config, limits, lens, ctc_log_probs)
    memory = joint.prepare(enc, lens, ctc_log_probs)
    state = joint.start(memory, B)
    beam = Beam.empty(B, len(joint.names), config.nbest, enc.device)
    places = torch.arange(B, device=enc.device)
    steps: list[BeamStep] = []
    ended = torch.zeros(B, dtype=torch.int64, device=enc.device)
    for length in range(longest + 1):
        found, state = joint.score(beam.tokens.flatten(), beam.totals, state, memory)
        K = beam.totals.shape[1]
        ends = _ends(found.end_scores, length, config)
        end_parts = beam.component_scores + found.end_parts
        end_scores = found.end_scores.clone()  # pruning overwrites what they may be a view of
        grown = beam.expand_and_prune(found, config)
        if config.patience:
            last = torch.tensor([length >= limits[b] for b in active], device=enc.device)
            ends = _among_best(ends, end_scores, grown.totals - config.length_bonus, last)
            ended += ends.isfinite().sum(1)
        steps.append(BeamStep(active, beam.parents, beam.tokens, ends, end_parts))
        if length == longest:
            break
        beam = grown.finish(ends)
        bounds = bound.upper_bound(beam.totals, beam.component_scores, length + 1)
        done = bounds <= beam.finished_scores[:, -1]
        if config.patience:
            done |= ended >= config.patience * config.beam_size
        finished = done.tolist()
        running = [row for row, b in enumerate(active) if not finished[row] and length < limits[b]]
        if not running:
            break
        rows = places[: len(active)]
        if len(running) <= MAX_ACTIVE_FRACTION * len(active):
            active = [active[row] for row in running]
            rows = torch.tensor(running, device=enc.device)
            beam, memory, ended = select_rows((beam, memory, ended), rows)
            bound.select_utterances(rows)
        elif len(running) < len(active):
            beam.totals[[row for row in range(len(active)) if row not in running]] = -torch.inf
        state = select_rows(state, torch.add(beam.parents, rows[:, None], alpha=K))
    return steps


def _among_best(ends: Tensor, scores: Tensor, totals: Tensor, last: Tensor) -> Tensor:
    """ends (B, K), without those whose scores (B, K) are below all totals (B, K') of the next beam; at the last step of
    an utterance (B,) all remain."""
    return ends.masked_fill((scores < totals[:, -1:]) & ~last[:, None], -torch.inf)


def _ends(scores: Tensor, length: int, config: DecodingConfig) -> Tensor:
    """scores (B, K) of hypotheses of `length` tokens with EOS -> their scores if they end here (B, K)."""
    if length < config.min_length:
        return torch.full_like(scores, -torch.inf)
    ends: Tensor = scores * (length + 1) ** -config.length_norm
    return ends
