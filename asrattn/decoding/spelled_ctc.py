"""CTC prefix scores of tokens that are spelled by several CTC labels each, such as bytes.

A token adds its labels to the prefix g one after another: it scores ψ(g·labels) - ψ(g), with ψ of ctc_prefix. Only
candidate tokens are scored, all of them as one batch: a loop goes over the labels, none over frames or hypotheses.
"""

from typing import NamedTuple, Self

import torch
from torch import Tensor

from asrattn.decoding.ctc_prefix import FINITE_LOG_ZERO, CTCPrefixScorer
from asrattn.text import EOS


class SpelledCTCState(NamedTuple):
    """State of the hypotheses.

    forward_log_probs   (N, T + 3): φ of the labels so far at t = -2..T, without those of the token to come
    last                (N,) the last label
    candidates, scores  (N, C) the tokens that may come, and ψ with their labels
    """

    forward_log_probs: Tensor
    last: Tensor
    candidates: Tensor
    scores: Tensor


class SpelledCTCScorer(NamedTuple):
    """The CTC scorer over labels, with the memory of its utterances."""

    prefix: CTCPrefixScorer

    @classmethod
    def from_log_probs(cls, log_probs: Tensor, lens: Tensor) -> Self:
        """log_probs (B, T, labels), lens (B,) -> the scorer."""
        return cls(CTCPrefixScorer.from_log_probs(log_probs, lens))

    def start(self, n: int) -> SpelledCTCState:
        """The state of n empty hypotheses, before the token EOS."""
        paths, last, _ = self.prefix.start(n)
        return SpelledCTCState(paths, last, torch.full_like(last, EOS)[:, None], paths.new_zeros(n, 1))

    def score(
        self, state: SpelledCTCState, tokens: Tensor, candidates: Tensor, table: Tensor
    ) -> tuple[Tensor, Tensor, SpelledCTCState]:
        """tokens (N,), each one of the state's candidates, next candidates (N, C), labels of each token (V, L) padded
        with -1 -> ψ(g·labels) - ψ(g) of the candidates (N, C); that of EOS, the complete labelling (N,); state.

        A candidate without labels costs nothing.
        """
        N = len(candidates)
        chosen = (state.candidates == tokens[:, None]).long().argmax(1, keepdim=True)
        prefix = state.scores.gather(1, chosen)
        # Only the start spells EOS.
        own = table[tokens]
        own[:, 0] = torch.where(tokens == EOS, EOS, own[:, 0])
        utterances = torch.arange(len(self.prefix.sums), device=tokens.device).repeat_interleave(
            N // len(self.prefix.sums)
        )
        paths, last = self._advance(state.forward_log_probs, state.last, own, utterances)
        found = self._score_labels(paths, last, table[candidates], utterances, prefix)
        # No continuation is likelier than its prefix, also where MIN_LOG_PROB lets something through.
        scores = torch.minimum(found, prefix)
        ends = torch.minimum(paths[:, -1:], prefix)
        known = prefix.clamp(min=FINITE_LOG_ZERO)
        return scores - known, (ends - known)[:, 0], SpelledCTCState(paths, last, candidates, scores)

    def _advance(
        self, paths: Tensor, last: Tensor, labels: Tensor, utterances: Tensor
    ) -> tuple[Tensor, Tensor]:
        """φ (N, T + 3) and last labels (N,) of hypotheses, extended by their labels (N, L)."""
        counts = (labels >= 0).sum(1)
        for place in range(labels.shape[1]):
            rows = (counts > place).nonzero()[:, 0]
            if not len(rows):
                break
            label, utterance = labels[rows, place], utterances[rows]
            before = self.prefix.before(paths[rows], last[rows], label, utterance)
            extended = self.prefix.extend(before, label, utterance)
            paths, last = paths.index_copy(0, rows, extended), last.index_copy(0, rows, label)
        return paths, last

    def _score_labels(
        self, paths: Tensor, last: Tensor, labels: Tensor, utterances: Tensor, prefix: Tensor
    ) -> Tensor:
        """φ (N, T + 3), last labels (N,), labels of C candidates (N, C, L), ψ (N, 1) -> ψ of the candidates (N, C)."""
        N, C, L = labels.shape
        scores = prefix.expand(N, C).flatten()
        labels = labels.flatten(0, 1)
        counts = (labels >= 0).sum(1)
        rows = counts.nonzero()[:, 0]
        parents = rows // C
        paths, last = paths[parents], last[parents]
        for place in range(L):
            if not len(rows):
                break
            label, utterance = labels[rows, place], utterances[rows // C]
            before = self.prefix.before(paths, last, label, utterance)
            final = counts[rows] == place + 1
            ends = final.nonzero()[:, 0]
            scores = scores.index_copy(
                0, rows[ends], self.prefix.prefix_score(before[ends], label[ends], utterance[ends])
            )
            more = (~final).nonzero()[:, 0]
            rows, last = rows[more], label[more]
            paths = self.prefix.extend(before[more], last, utterance[more])
        return scores.view(N, C)
