"""Early stopping of beam search: exact, by an upper bound on the score of every running hypothesis."""

from collections.abc import Sequence

import torch
from torch import Tensor

from asrattn.decoding.config import DecodingConfig
from asrattn.decoding.ctc_prefix import FINITE_LOG_ZERO
from asrattn.decoding.joint_scorer import JointScorer
from asrattn.lengths import mask
from asrattn.text import BLANK


class ScoreUpperBound:
    """An upper bound on the final score of all running hypotheses.

    Log-probabilities are never positive, so their sums never rise. With a length bonus, rewarding scorers or length
    normalisation the score of a longer hypothesis may: then the bound is the maximum over all lengths still allowed,
    where the CTC part of U tokens is at most the probability that at least U frames are not blank; or 0 if tokens may
    have no CTC labels. That tail is bounded by Chernoff's inequality,
    log P(X ≥ U) ≤ Σ_t log(b_t + a_t e^λ) - λU for any λ ≥ 0, with a_t the probability of all labels in frame t.
    """

    def __init__(
        self,
        joint: JointScorer,
        config: DecodingConfig,
        limits: Sequence[int],
        lens: Tensor,
        ctc: Tensor | None,
    ):
        self.ceiling = joint.ceiling
        self.gain = max(config.length_bonus + joint.ceiling, 0.0)
        self.non_increasing = self.gain == 0 and config.length_norm == 0
        self.ctc = joint.names.index("ctc") if joint.ctc else None
        self.weight = joint.weights[self.ctc] if self.ctc is not None else 0.0
        if self.non_increasing:
            return
        lengths = torch.arange(max(limits) + 1, dtype=torch.float64, device=lens.device)
        self.growth = self.gain * lengths + self.ceiling
        self.scale = (lengths + 1) ** -config.length_norm
        # (B, lengths): the maximum CTC part, weighted; -inf beyond the longest allowed length.
        self.max_ctc_score = lengths.new_zeros(len(limits), len(lengths))
        if self.ctc is not None and ctc is not None and not joint.is_spelled:
            self.max_ctc_score = self.weight * _tail(ctc.double(), lens, lengths)
        self.max_ctc_score[lengths > torch.tensor(limits, device=lens.device)[:, None]] = -torch.inf

    def upper_bound(self, totals: Tensor, parts: Tensor, length: int) -> Tensor:
        """totals (B, K), best first, parts (B, P, K), of hypotheses of `length` tokens -> (B,)."""
        best = totals[:, :1]
        if self.non_increasing:
            return best[:, 0] + self.ceiling
        room = self.max_ctc_score[:, length:]
        if self.ctc is None:
            reach = best + room
        else:
            rest = totals - self.weight * parts[:, self.ctc].clamp(min=FINITE_LOG_ZERO)
            reach = torch.minimum(best, rest.amax(1, keepdim=True) + room)
        return ((reach + self.growth[: room.shape[1]]) * self.scale[length:]).amax(1)

    def select_utterances(self, rows: Tensor) -> None:
        """Keep these utterances only."""
        if not self.non_increasing:
            self.max_ctc_score = self.max_ctc_score[rows]


def _tail(log_probs: Tensor, lens: Tensor, lengths: Tensor) -> Tensor:
    """log_probs (B, T, V) -> an upper bound of log P(at least U frames are not blank) (B, U)."""
    tilts = torch.linspace(0.0, 12.0, 25, dtype=torch.float64, device=lens.device)
    labels = torch.cat((log_probs[..., :BLANK], log_probs[..., BLANK + 1 :]), 2).logsumexp(2)
    frames = torch.logaddexp(log_probs[..., BLANK, None], labels[..., None] + tilts)
    total = (frames * mask(lens, frames.shape[1])[..., None]).sum(1)
    return (total[:, :, None] - tilts[:, None] * lengths).amin(1).clamp(max=0.0)
