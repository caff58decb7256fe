"""CTC prefix scores of tokens that are spelled by several CTC labels each, such as bytes.

A token adds its labels to the prefix g one after another: it scores ψ(g·labels) - ψ(g), with ψ of ctc_prefix. Only
candidate tokens are scored, all of them as one batch: by a loop over their labels, as in ctc_prefix, or on a CPU by the
forward algorithm, a loop over the frames for all labels at once, which takes a quarter of the time there.
"""

from typing import NamedTuple, Self

import torch
from torch import Tensor
from torch.nn.functional import pad

from asrattn.decoding.ctc_prefix import FINITE_LOG_ZERO, CTCPrefixScorer
from asrattn.lengths import mask
from asrattn.text import BLANK, EOS


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
    """The CTC scorer over labels, with the memory of its utterances.

    probs   (B, T + 1, labels): p_t(c) as in `prefix`, frames first, and that of the blank; None where not used
    """

    prefix: CTCPrefixScorer
    probs: Tensor | None

    @classmethod
    def from_log_probs(cls, log_probs: Tensor, lens: Tensor) -> Self:
        """log_probs (B, T, labels), lens (B,) -> the scorer."""
        prefix = CTCPrefixScorer.from_log_probs(log_probs, lens)
        if log_probs.device.type != "cpu":
            return cls(prefix, None)
        probs = prefix.probs.transpose(1, 2).contiguous()
        blank = log_probs[..., BLANK].double().exp().masked_fill(~mask(lens, log_probs.shape[1]), 1.0)
        probs[..., BLANK] = pad(blank, (1, 0), value=1.0)
        return cls(prefix, probs)

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
        own = table[tokens].long()
        own[:, 0] = torch.where(tokens == EOS, EOS, own[:, 0])
        utterances = torch.arange(len(self.prefix.sums), device=tokens.device).repeat_interleave(
            N // len(self.prefix.sums)
        )
        paths, last = self._advance(state.forward_log_probs, state.last, own, utterances)
        score = self._loop_over_labels if self.probs is None else self._loop_over_frames
        found = score(paths, last, table[candidates].long(), utterances, prefix)
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

    def _loop_over_labels(
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

    def _loop_over_frames(
        self, paths: Tensor, last: Tensor, labels: Tensor, utterances: Tensor, prefix: Tensor
    ) -> Tensor:
        """As `_loop_over_labels`, by the forward algorithm with probabilities instead of their logarithms.

        They are relative to the likeliest frame of each hypothesis; candidates below e^-700 of it are impossible.
        All S labels of all candidates are one row.
        """
        assert self.probs is not None
        N, C, _ = labels.shape
        counts = (labels >= 0).sum(2).flatten()
        spelled = counts.nonzero()[:, 0]
        if not len(spelled):
            return prefix.expand(N, C)
        label, ends = labels[labels >= 0], counts.cumsum(0)[spelled] - 1
        begins = ends - counts[spelled] + 1
        peak = paths[:, 1:-1].amax(1, keepdim=True).clamp(min=FINITE_LOG_ZERO)
        entry = self._entry_probs(paths - peak, label[begins] == last[spelled // C], utterances, spelled // C)
        distinct = (label != label.roll(-1)).to(
            entry.dtype
        )  # may be followed by the next one without a blank
        V = self.probs.shape[2]
        rows = utterances.repeat_interleave(C).repeat_interleave(counts) * V
        total = _forward(self.probs, rows + label, rows + BLANK, entry, begins, distinct)
        scores = prefix.expand(N, C).flatten()
        return scores.index_copy(0, spelled, total[ends].log() + peak[spelled // C, 0]).view(N, C)

    def _entry_probs(self, paths: Tensor, again: Tensor, utterances: Tensor, parents: Tensor) -> Tensor:
        """φ (N, T + 3) -> the probability before each frame of a first label, by its hypothesis (M,), and whether it
        repeats the last label (M,): (T + 1, M)."""
        free, repeated = paths[:, 1:-1].exp(), (paths[:, :-2] + self.prefix.blanks[utterances, 0]).exp()
        return torch.where(again[:, None], repeated[parents], free[parents]).T.contiguous()


def _forward(
    probs: Tensor, labels: Tensor, blanks: Tensor, entry: Tensor, begins: Tensor, distinct: Tensor
) -> Tensor:
    """The forward algorithm over S labels, in which texts follow each other.

    probs (B, T, V); the places of each label and its blank in a frame's B · V probabilities (S,); entry (T, M) of the M
    texts, their first labels (M,), 1.0 for labels that differ from the next one (S,) -> Σ_t of the probability that a
    label begins at t (S,).
    """
    total = entry.new_zeros(len(labels))
    label, blank, before = torch.zeros_like(total), torch.zeros_like(total), torch.zeros_like(total)
    for t, first in enumerate(entry):
        frame = probs[:, t].flatten()
        prob = frame.index_select(0, labels)
        torch.addcmul(blank[:-1], label[:-1], distinct[:-1], out=before[1:])
        before[begins] = first
        total.addcmul_(prob, before)
        blank.add_(label).mul_(frame.index_select(0, blanks))
        label.add_(before).mul_(prob)
    return total
