"""Losses: cross-entropy with label smoothing, CTC, consistency (CR-CTC, R-Drop), guided attention."""

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor

from asrattn.attention.measures import off_diagonal
from asrattn.lengths import mask
from asrattn.text import BLANK

IGNORE_INDEX = -100


class LossNormalizer(NamedTuple):
    """Loss denominators: utterances and tokens of the whole optimizer step (a batch may be one micro-batch of it).

    Tokens are those of the decoder, also for CTC over bytes.
    """

    utterances: int
    tokens: int


class Losses(NamedTuple):
    """Each a mean over the tokens of the step, in nats per token; losses with weight 0 are zero."""

    total: Tensor
    attention: Tensor
    ctc: Tensor
    inter_ctc: Tensor
    consistency: Tensor
    guided: Tensor
    distill_encoder: Tensor
    distill_decoder: Tensor


class TeacherOutput(NamedTuple):
    """Of a teacher: encoder outputs (B, T, D) for the frames of the student, logits (B, U + 1, V) or None."""

    encoded: Tensor
    logits: Tensor | None


def cross_entropy(logits: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    """Cross-entropy with label smoothing: logits (B, U, V), targets (B, U), IGNORE_INDEX on padding -> nats, summed."""
    return F.cross_entropy(
        logits.flatten(0, 1),
        targets.flatten(),
        ignore_index=IGNORE_INDEX,
        label_smoothing=smoothing,
        reduction="sum",
    )


def ctc_loss(log_probs: Tensor, lens: Tensor, labels: Tensor, label_lens: Tensor) -> Tensor:
    """CTC (Graves et al. 2006): log_probs (B, T, V) -> nats, summed. An utterance whose labels do not fit its frames
    counts 0 and has no gradient: the decoder alone learns from it."""
    return F.ctc_loss(
        log_probs.transpose(0, 1),
        labels,
        lens,
        label_lens,
        blank=BLANK,
        reduction="sum",
        zero_infinity=True,
    )


def spell_batch(table: Tensor, tokens: Tensor, token_lens: Tensor) -> tuple[Tensor, Tensor]:
    """The CTC labels of padded texts: table (V, L) of each token's labels, padded with -1; tokens (B, U),
    token_lens (B,) -> labels (B, S), padded with BLANK, and their counts (B,)."""
    labels = table[tokens].long().masked_fill(~mask(token_lens, tokens.shape[1])[..., None], -1).flatten(1)
    real = labels >= 0
    counts = real.sum(1)
    order = real.long().argsort(dim=1, descending=True, stable=True)[
        :, : int(counts.max()) if len(counts) else 0
    ]
    return labels.gather(1, order).clamp(min=BLANK), counts


def guided_attention_loss(weights: Tensor, token_lens: Tensor, lens: Tensor) -> Tensor:
    """Guided attention (Tachibana et al. 2018): weights (B, U, T) off the diagonal, summed."""
    off = (weights.float() * off_diagonal(weights, token_lens, lens)).sum(-1)
    return (off * mask(token_lens, weights.shape[1])).sum()


def consistency_loss(log_probs: Tensor, lens: Tensor) -> Tensor:
    """Symmetric KL between the two halves of log_probs (B, T, V), each a detached target of the other: nats, summed."""
    first, second = log_probs.chunk(2)
    real = mask(lens[: len(first)], log_probs.shape[1])[..., None]
    there = F.kl_div(first, second.detach(), log_target=True, reduction="none")
    back = F.kl_div(second, first.detach(), log_target=True, reduction="none")
    return ((there + back) * real).sum()


def encoder_distance(student: Tensor, teacher: Tensor, lens: Tensor) -> Tensor:
    """Squared distance of the frames (B, T, D), each dimension in units of the teacher's variance: the mean over
    dimensions and frames of each utterance, summed over the utterances."""
    real = mask(lens, teacher.shape[1])
    variance = teacher[real].float().var(0, correction=0).clamp(min=1e-4)
    squares = ((student.float() - teacher.float()).square() / variance).mean(-1)
    return ((squares * real).sum(1) / lens.clamp(min=1)).sum()


def divergence(student: Tensor, teacher: Tensor, lens: Tensor) -> Tensor:
    """KL divergence of the student's predictions from the teacher's: logits (B, U, V), lens (B,) -> nats, summed."""
    real = mask(lens, teacher.shape[1])
    ours, theirs = (logits[real].float().log_softmax(-1) for logits in (student, teacher))
    return F.kl_div(ours, theirs, log_target=True, reduction="sum")
