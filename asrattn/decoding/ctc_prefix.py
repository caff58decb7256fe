"""CTC prefix scores of all next tokens at once, without a loop over frames.

ψ(g) is the log-probability that CTC's labelling begins with g (Graves 2008; Watanabe et al. 2017). Let φ(t) be the
log-probability that frames 1..t are labelled exactly g, p_t(c) the label's and b_t the blank's, P and B the sums of
their logs:

    ψ(g·c)   = log Σ_t exp φ(t-1) · p_t(c)                    one matrix product for every hypothesis and token
    label(t) = P(t) + log Σ_{s≤t} exp(φ(s-1) - P(s-1))        g·c, the last frame is c
    φ'(t)    = B(t) + log Σ_{s≤t} exp(label(s) - B(s))        g·c, with or without blanks after it

the last two only for the tokens that were chosen. Where c repeats the last token of g, φ(t-1) is replaced by the part
that ends in a blank, φ(t-2) + log b_{t-1}. Sums over frames reach thousands and are subtracted again, hence float64.
"""

from typing import NamedTuple, Self

import torch
from torch import Tensor
from torch.nn.functional import pad

from asrattn.lengths import mask
from asrattn.text import BLANK, EOS

LOG_ZERO = -torch.inf
# The log-probability of the impossible: its exp is 0 in float64, and its sums keep their precision.
MIN_LOG_PROB = -1000.0
# In place of -inf, which must not be subtracted from itself.
FINITE_LOG_ZERO = -1e300


class CTCState(NamedTuple):
    """forward_log_probs (N, T + 3): φ at t = -2..T; last (N,): last token; scores (N, V): ψ of the continuations."""

    forward_log_probs: Tensor
    last: Tensor
    scores: Tensor


class CTCPrefixScorer(NamedTuple):
    """The CTC scorer with the memory of its utterances; every field is float64, utterances first.

    A frame 0 is prepended whose only label is EOS: so EOS starts the empty hypothesis like any other token.

    probs        p_t(c), t = 0..T     (B, V, T + 1)
    sums         P(t), t = -1..T      (B, V, T + 2)
    blanks       log b_{t-1}          (B, 1, T + 1)
    blank_sums   B(t)                 (B, 1, T + 1)
    """

    probs: Tensor
    sums: Tensor
    blanks: Tensor
    blank_sums: Tensor

    @classmethod
    def from_log_probs(cls, log_probs: Tensor, lens: Tensor) -> Self:
        """log_probs (B, T, V), lens (B,) -> the scorer. On padding labels are impossible and blanks are free."""
        B, T, V = log_probs.shape
        padding = ~mask(lens, T)
        table = log_probs.new_full((B, V, T + 1), MIN_LOG_PROB, dtype=torch.float64)
        frames = table[..., 1:]
        frames.copy_(log_probs.transpose(1, 2)).clamp_(min=MIN_LOG_PROB).masked_fill_(
            padding[:, None], MIN_LOG_PROB
        )
        frames[:, BLANK].masked_fill_(padding, 0.0)
        frames[:, EOS] = MIN_LOG_PROB
        table[:, (BLANK, EOS), 0] = 0.0
        probs = table.exp()
        probs[:, (BLANK, EOS)] = 0.0
        blanks = table[:, BLANK, None]
        return cls(probs, pad(table.cumsum(2), (1, 0)), pad(blanks[..., :-1], (1, 0)), blanks.cumsum(2))

    def start(self, n: int) -> CTCState:
        """The state before frame 0: no labels, φ(-1) = 0."""
        paths = self.sums.new_full((n, self.sums.shape[2] + 1), LOG_ZERO)
        paths[:, 1] = 0.0
        last = torch.full((n,), BLANK, device=paths.device)
        return CTCState(paths, last, paths.new_zeros(n, self.sums.shape[1]))

    def score(
        self, state: CTCState, tokens: Tensor, candidates: Tensor | None = None
    ) -> tuple[Tensor, CTCState]:
        """tokens (N,) -> ψ(g·c) - ψ(g) (N, V), for EOS the complete labelling's; state.

        candidates (B, C) restricts it to these tokens of each utterance, EOS and the last token; others are -inf.
        """
        N, B = len(tokens), len(self.sums)
        rows = tokens.view(B, N // B, 1)
        paths = self._advance(state, rows)
        before = paths[..., 1:-1]
        peak = before.amax(2, keepdim=True).clamp_(min=FINITE_LOG_ZERO)
        scores = self._continue((before - peak).exp_(), candidates) + peak
        # Repeating the last token needs a blank in between.
        probs = self.probs.gather(1, rows.expand(-1, -1, before.shape[2]))
        repeat = (paths[..., :-2] + self.blanks - peak).exp_().mul_(probs).sum(2, keepdim=True).log_() + peak
        scores.scatter_(2, rows, repeat)
        scores[..., EOS] = paths[..., -1]
        # No continuation is likelier than its prefix, also where MIN_LOG_PROB lets something through.
        prefix = state.scores.gather(1, tokens[:, None])
        scores = torch.minimum(scores.view(N, -1), prefix)
        return scores - prefix.clamp_(min=FINITE_LOG_ZERO), CTCState(paths.view(N, -1), tokens, scores)

    def _advance(self, state: CTCState, rows: Tensor) -> Tensor:
        """φ of the hypotheses extended by their tokens, rows (B, K, 1) -> (B, K, T + 3)."""
        B, K, _ = rows.shape
        utterances = torch.arange(B, device=rows.device).repeat_interleave(K)
        tokens = rows.flatten()
        before = self.before(state.forward_log_probs, state.last, tokens, utterances)
        return self.extend(before, tokens, utterances).view(B, K, -1)

    def before(self, paths: Tensor, last: Tensor, labels: Tensor, utterances: Tensor) -> Tensor:
        """φ (M, T + 3) of prefixes with these last labels (M,) -> what may come before frames 0..T of their next
        labels (M,): φ(t-1), or the part of it that ends in a blank if the label is repeated (M, T + 1)."""
        again = (labels == last)[:, None]
        return torch.where(again, paths[:, :-2] + self.blanks[utterances, 0], paths[:, 1:-1])

    def extend(self, before: Tensor, labels: Tensor, utterances: Tensor) -> Tensor:
        """`before` (M, T + 1) -> φ' with the labels (M,) (M, T + 3)."""
        sums, blank_sums = self.sums[utterances, labels], self.blank_sums[utterances, 0]
        label = (before - sums[:, :-1]).logcumsumexp(1).add_(sums[:, 1:])
        extended = label.sub_(blank_sums).logcumsumexp(1).add_(blank_sums)
        return pad(extended, (2, 0), value=LOG_ZERO)

    def prefix_score(self, before: Tensor, labels: Tensor, utterances: Tensor) -> Tensor:
        """`before` (M, T + 1) -> ψ with the labels (M,)."""
        peak = before.amax(1, keepdim=True).clamp_(min=FINITE_LOG_ZERO)
        weights = (before - peak).exp_().mul_(self.probs[utterances, labels])
        return weights.sum(1).log_().add_(peak[:, 0])

    def _continue(self, weights: Tensor, candidates: Tensor | None) -> Tensor:
        """log Σ_t weights (B, K, T + 1) · p_t(c) -> (B, K, V)."""
        if candidates is None:
            return (weights @ self.probs.transpose(1, 2)).log_()
        probs = self.probs.gather(1, candidates[..., None].expand(-1, -1, self.probs.shape[2]))
        found = (weights @ probs.transpose(1, 2)).log_()
        scores = found.new_full((*found.shape[:2], self.probs.shape[1]), LOG_ZERO)
        return scores.scatter_(2, candidates[:, None].expand_as(found), found)
