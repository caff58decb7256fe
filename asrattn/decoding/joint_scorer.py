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

MIN_LARGE_VOCABULARY = (
    5000  # from this size on it is faster to choose the best tokens of each hypothesis first
)
CHUNK_TOKENS = 64  # of which `best_tokens` takes the maximum first


class JointMemory(NamedTuple):
    """Memory of the utterances, B first: that of the decoder and the CTC scorer; None if not used."""

    decoder: Any
    ctc: CTCPrefixScorer | None


class JointState(NamedTuple):
    """State of the hypotheses, N first."""

    decoder: Any
    ctc: CTCState | None
    fused: tuple[Any, ...]


class Expansions(NamedTuple):
    """The scored continuations of every hypothesis, and its score if it ends here.

    tokens          (B, K, C) the tokens; None if C is V and the index of a column is its token
    scores          (B, K, C) totals, those of BLANK and EOS to be ignored
    parts           P times (B, K, C): the log-probabilities by each scorer
    end_scores      (B, K) totals with EOS
    end_parts       (B, P, K) the log-probabilities of EOS by each scorer
    """

    tokens: Tensor | None
    scores: Tensor
    parts: Sequence[Tensor]
    end_scores: Tensor
    end_parts: Tensor


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
        self.beam_size = config.beam_size
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

    @property
    def max_tokens(self) -> int | None:
        """The most tokens of a hypothesis that the decoder allows; None without a bound."""
        return None if self.decoder is None else self.decoder.max_tokens

    def score(
        self, tokens: Tensor, totals: Tensor, state: JointState, memory: JointMemory
    ) -> tuple[Expansions, JointState]:
        """tokens (N,), totals (B, K) of the hypotheses -> their continuations, state.

        For a large vocabulary, only the `beam_size` best continuations of each hypothesis are returned if they can be
        chosen exactly: the beam of an utterance holds no others.
        """
        log_probs = decoder = None
        if self.decoder is not None:
            logits, decoder = self.decoder.step(tokens, state.decoder, memory.decoder)
            # Half precision is too coarse for a sum over tokens.
            log_probs = logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(-1)
        fused, fused_state = self._score_fused(tokens, state.fused)
        if log_probs is not None and memory.ctc is None and self._is_large(log_probs.shape[1]):
            found = self._expand_best([log_probs, *fused], totals)
            return found, JointState(decoder, None, fused_state)
        found, ctc = self._expand_all(log_probs, fused, totals, tokens, state.ctc, memory.ctc)
        return found, JointState(decoder, ctc, fused_state)

    def _score_fused(self, tokens: Tensor, state: tuple[Any, ...]) -> tuple[list[Tensor], tuple[Any, ...]]:
        """The increments (N, V) by each fused scorer, and their states."""
        parts: list[Tensor] = []
        states: list[Any] = []
        for scorer, floor, old in zip(self.fused, self.floors, state, strict=True):
            increments, new = scorer.score(old, tokens)
            parts.append(increments if floor is None else increments.clamp(min=floor))
            states.append(new)
        return parts, tuple(states)

    def _is_large(self, V: int) -> bool:
        """Whether it is faster to choose the best tokens first."""
        return max(MIN_LARGE_VOCABULARY, 2 * self.beam_size) <= V

    def _expand_all(
        self,
        log_probs: Tensor | None,
        fused: Sequence[Tensor],
        totals: Tensor,
        tokens: Tensor,
        state: CTCState | None,
        memory: CTCPrefixScorer | None,
    ) -> tuple[Expansions, CTCState | None]:
        """Every token, by the decoder's log_probs (N, V), CTC and the fused increments (N, V)."""
        shape = (*totals.shape, -1)
        parts = [] if log_probs is None else [log_probs.view(shape)]
        scores = weighted_sum(totals[..., None], parts, self.weights)
        rest = [part.view(shape) for part in fused]
        ctc = None
        if memory is not None and state is not None:
            increments, ctc = memory.score(state, tokens, self._preselect(scores))
            rest.insert(0, increments.view(shape))
        scores = weighted_sum(scores, rest, self.weights[len(parts) :])
        parts += rest
        end_parts = torch.stack([part[..., EOS] for part in parts], 1)
        return Expansions(None, scores, parts, scores[..., EOS].clone(), end_parts), ctc

    def _expand_best(self, parts: Sequence[Tensor], totals: Tensor) -> Expansions:
        """The `beam_size` best tokens of each hypothesis by the parts (N, V)."""
        best = best_tokens(self._rank(parts), self.beam_size)
        columns = torch.cat((best, torch.full_like(best[:, :1], EOS)), 1)
        shape = (*totals.shape, -1)
        parts = [part.gather(1, columns).double().view(shape) for part in parts]
        scores = weighted_sum(totals[..., None], parts, self.weights)
        end_parts = torch.stack([part[..., -1] for part in parts], 1)
        parts = [part[..., :-1] for part in parts]
        return Expansions(best.view(shape), scores[..., :-1], parts, scores[..., -1], end_parts)

    def _rank(self, parts: Sequence[Tensor]) -> Tensor:
        """Parts (N, V) -> what the tokens of a hypothesis are ranked by (N, V)."""
        if len(parts) == 1:
            return parts[0]
        return weighted_sum(parts[0] * self.weights[0], parts[1:], self.weights[1:])

    def _preselect(self, scores: Tensor) -> Tensor | None:
        """scores (B, K, V) -> the best tokens of each utterance (B, C), whichever hypothesis they would follow."""
        if not (self.ctc and 0 < self.ctc_pre_beam < scores.shape[2] - 2):
            return None
        best = scores.amax(1)
        best[:, (BLANK, EOS)] = -torch.inf
        return best.topk(self.ctc_pre_beam).indices


def weighted_sum(total: Tensor, parts: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """total + Σ weight · part, over as many weights as there are parts."""
    for part, weight in zip(parts, weights, strict=False):
        total = torch.add(total, part, alpha=weight)
    return total


def best_tokens(scores: Tensor, count: int) -> Tensor:
    """scores (N, V) -> the tokens with the highest scores (N, count), without BLANK and EOS, in any order.

    The maxima of chunks are taken first: the best `count` tokens lie in the `count` best chunks.
    """
    V = scores.shape[1]
    wanted, chunks = count + 2, V // CHUNK_TOKENS
    found: Tensor
    if 4 * wanted >= chunks:
        best, found = scores.topk(min(wanted, V))
    else:
        whole = chunks * CHUNK_TOKENS
        chosen = scores[:, :whole].reshape(-1, chunks, CHUNK_TOKENS).amax(2).topk(wanted).indices
        places = torch.arange(CHUNK_TOKENS, device=scores.device)
        ids = (chosen[..., None] * CHUNK_TOKENS + places).flatten(1)
        rest = torch.arange(whole, V, device=scores.device).expand(len(scores), -1)
        ids = torch.cat((ids, rest), 1)
        best, places = scores.gather(1, ids).topk(wanted)
        found = ids.gather(1, places)
    # Where fewer tokens are possible, BLANK and EOS may remain; the beam ignores them.
    best = best.masked_fill((found == BLANK) | (found == EOS), -torch.inf)
    return found.gather(1, best.topk(min(count, V - 2)).indices)
