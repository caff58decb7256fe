"""When is an utterance decided? As soon as nothing that still runs can come out better than what has ended."""

from collections.abc import Sequence

import torch
from torch import Tensor

from asrattn.lengths import mask
from asrattn.search.config import SearchConfig
from asrattn.search.ctc_prefix import LOWEST
from asrattn.search.joint import Joint
from asrattn.text import BLANK


class Bound:
    """The highest rank that what still runs can reach.

    Log-probabilities never rise, so a sum never does. With a length bonus, rewarding scorers or normalisation a longer
    hypothesis may: then the bound is the best over all lengths still allowed, where the CTC part of U tokens is at most
    the probability that at least U frames are no blank. That tail is bounded in turn by Chernoff's inequality,
    log P(X ≥ U) ≤ Σ_t log(b_t + a_t e^λ) - λU for any λ ≥ 0, with a_t the probability of all labels in frame t.
    """

    def __init__(
        self, joint: Joint, config: SearchConfig, limits: Sequence[int], lens: Tensor, ctc: Tensor | None
    ):
        self.ceiling = joint.ceiling
        self.gain = max(config.length_bonus + joint.ceiling, 0.0)
        self.falling = self.gain == 0 and config.normalize == 0
        self.ctc = joint.names.index("ctc") if joint.ctc else None
        self.weight = joint.weights[self.ctc] if self.ctc is not None else 0.0
        if self.falling:
            return
        lengths = torch.arange(max(limits) + 1, dtype=torch.float64, device=lens.device)
        self.growth = self.gain * lengths + self.ceiling
        self.scale = (lengths + 1) ** -config.normalize
        # (B, lengths): the CTC part at most, weighted; -inf beyond the longest that is allowed.
        self.room = lengths.new_zeros(len(limits), len(lengths))
        if self.ctc is not None and ctc is not None:
            self.room = self.weight * _tail(ctc.double(), lens, lengths)
        self.room[lengths > torch.tensor(limits, device=lens.device)[:, None]] = -torch.inf

    def highest(self, totals: Tensor, parts: Tensor, length: int) -> Tensor:
        """totals (B, K) in falling order, parts (B, P, K), of hypotheses of `length` tokens -> (B,)."""
        best = totals[:, :1]
        if self.falling:
            return best[:, 0] + self.ceiling
        room = self.room[:, length:]
        if self.ctc is None:
            reach = best + room
        else:
            rest = totals - self.weight * parts[:, self.ctc].clamp(min=LOWEST)
            reach = torch.minimum(best, rest.amax(1, keepdim=True) + room)
        return ((reach + self.growth[: room.shape[1]]) * self.scale[length:]).amax(1)

    def keep(self, rows: Tensor) -> None:
        """Go on with these utterances only."""
        if not self.falling:
            self.room = self.room[rows]


def _tail(log_probs: Tensor, lens: Tensor, lengths: Tensor) -> Tensor:
    """log_probs (B, T, V) -> a bound of log P(at least U frames are no blank) (B, U)."""
    tilts = torch.linspace(0.0, 12.0, 25, dtype=torch.float64, device=lens.device)
    labels = torch.cat((log_probs[..., :BLANK], log_probs[..., BLANK + 1 :]), 2).logsumexp(2)
    frames = torch.logaddexp(log_probs[..., BLANK, None], labels[..., None] + tilts)
    total = (frames * mask(lens, frames.shape[1])[..., None]).sum(1)
    return (total[:, :, None] - tilts[:, None] * lengths).amin(1).clamp(max=0.0)
