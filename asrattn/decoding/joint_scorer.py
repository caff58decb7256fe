"""Joint scoring of a beam search: decoder, CTC prefix score and shallow fusion of other scorers."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from asrattn.config import check
from asrattn.decoding.config import DecodingConfig
from asrattn.decoding.ctc_prefix import CTCPrefixScorer, CTCState
from asrattn.decoding.scorers import StepwiseDecoder, WeightedScorer
from asrattn.text import BLANK, EOS


class JointMemory(NamedTuple):
    """Memory of the utterances, B first: that of the decoder and the CTC scorer; None if not used."""

    decoder: Any
    ctc: CTCPrefixScorer | None


class JointState(NamedTuple):
    """State of the hypotheses, N first."""

    decoder: Any
    ctc: CTCState | None
    fused: tuple[Any, ...]


class JointScorer:
    """The scorers in use. `names` and `weights` have one order: attention, ctc, the fused ones."""

    def __init__(
        self,
        decoder: StepwiseDecoder[Any, Any] | None,
        config: DecodingConfig,
        ctc: bool,
        scorers: Sequence[WeightedScorer],
    ):
        share = config.ctc if ctc else 0.0
        message = "beam search: without a decoder give CTC log-probabilities and set ctc to 1"
        check(share == 1 or decoder is not None, message)
        for fusion in scorers:
            check(
                math.isfinite(fusion.reward),
                f"beam search: {fusion.name} has no finite upper bound on a token's score",
            )
        names = ["attention", "ctc", *(fusion.name for fusion in scorers)]
        check(
            len(set(names)) == len(names),
            f"beam search: two scorers have one name candidates {', '.join(names)}",
        )
        scorers = [fusion for fusion in scorers if fusion.weight != 0]
        self.decoder = decoder if share < 1 else None
        self.ctc = share > 0
        self.fused = [fusion.scorer for fusion in scorers]
        self.floors = [fusion.floor if fusion.weight < 0 else None for fusion in scorers]
        self.ctc_pre_beam = config.ctc_pre_beam
        shares = {"attention": 1 - share, "ctc": share}
        parts = {name: weight for name, weight in shares.items() if weight > 0}
        parts |= {fusion.name: fusion.weight for fusion in scorers}
        self.names = tuple(parts)
        self.weights = tuple(parts.values())
        self.ceiling = sum(fusion.reward for fusion in scorers)

    def prepare(self, enc: Tensor, lens: Tensor, ctc_log_probs: Tensor | None) -> JointMemory:
        decoder = None if self.decoder is None else self.decoder.prepare(enc, lens)
        ctc = (
            CTCPrefixScorer.from_log_probs(ctc_log_probs, lens)
            if self.ctc and ctc_log_probs is not None
            else None
        )
        return JointMemory(decoder, ctc)

    def start(self, memory: JointMemory, B: int) -> JointState:
        """One empty hypothesis for each utterance."""
        decoder = None if self.decoder is None else self.decoder.start(memory.decoder)
        ctc = None if memory.ctc is None else memory.ctc.start(B)
        return JointState(decoder, ctc, tuple(scorer.start(B) for scorer in self.fused))

    def score(
        self, tokens: Tensor, totals: Tensor, state: JointState, memory: JointMemory
    ) -> tuple[Tensor, list[Tensor], JointState]:
        """tokens (N,), totals (B, K) -> the totals of every continuation (B, K, V), its parts' increments, state."""
        parts: list[Tensor] = []
        states: list[Any] = []
        decoder = ctc = candidates = None
        scores = totals[..., None]
        shape = (*totals.shape, -1)
        weights = iter(self.weights)
        if self.decoder is not None:
            logits, decoder = self.decoder.step(tokens, state.decoder, memory.decoder)
            # Half precision is too coarse for a sum over tokens.
            parts.append(
                logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(-1).view(shape)
            )
            scores = torch.add(scores, parts[-1], alpha=next(weights))
            candidates = self._preselect(scores)
        if memory.ctc is not None and state.ctc is not None:
            increments, ctc = memory.ctc.score(state.ctc, tokens, candidates)
            parts.append(increments.view(shape))
            scores = torch.add(scores, parts[-1], alpha=next(weights))
        for scorer, floor, old, weight in zip(self.fused, self.floors, state.fused, weights, strict=True):
            increments, new = scorer.score(old, tokens)
            increments = increments if floor is None else increments.clamp(min=floor)
            parts.append(increments.view(shape))
            scores = torch.add(scores, parts[-1], alpha=weight)
            states.append(new)
        return scores, parts, JointState(decoder, ctc, tuple(states))

    def _preselect(self, scores: Tensor) -> Tensor | None:
        """scores (B, K, V) -> the best tokens of each utterance (B, C), whichever hypothesis they would follow."""
        if not (self.ctc and 0 < self.ctc_pre_beam < scores.shape[2] - 2):
            return None
        best = scores.amax(1)
        best[:, (BLANK, EOS)] = -torch.inf
        return best.topk(self.ctc_pre_beam).indices
