"""Hallucination filter: check a hypothesis against audio and CTC for silence, loops, deletions, low confidence.

Attention decoders can write fluent text without speech, repeat a phrase endlessly, or stop before the end. CTC
reads every frame once and does none of this: if the two disagree, CTC decides.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from asrattn.audio.interface import Wave
from asrattn.audio.vad import is_silent, levels_db
from asrattn.config import JSONValue
from asrattn.decoding.hypothesis import Hypothesis
from asrattn.errors import CheckpointError
from asrattn.text import BLANK, Spelling

MIN_LOOP_REPEATS = 4  # consecutive repetitions of a phrase that make a loop
MAX_LOOP_TOKENS = 40  # maximum length of the phrase
MIN_LOOP_TOKENS_WITHOUT_CTC = 8  # repeated ones, for a loop that is reported without CTC
FLAGGED_DEV_SHARE = 0.01  # fraction of dev above the thresholds before they are scaled


@dataclass(frozen=True)
class ConfidenceThresholds:
    """Thresholds in nats per token: the decoder's negative log-probability, and the margin of CTC's best path over
    the text."""

    decoder: float = 0.7
    ctc: float = 2.0

    def to_plain(self) -> dict[str, JSONValue]:
        return {"decoder": self.decoder, "ctc": self.ctc}

    @classmethod
    def from_plain(cls, plain: JSONValue) -> "ConfidenceThresholds":
        match plain:
            case {"decoder": float(decoder), "ctc": float(ctc), **rest} if not rest:
                return cls(decoder, ctc)
        raise CheckpointError(
            f"the confidence thresholds are damaged: {plain!r:.80}; run asrattn tune-decoding again"
        )

    @classmethod
    def from_scores(cls, scores: Sequence["ConfidenceThresholds"]) -> "ConfidenceThresholds":
        """1.5 times the (1 - FLAGGED_DEV_SHARE) quantiles of the scores; the factor since dev is small."""
        columns = np.array([(d.decoder, d.ctc) for d in scores]).T
        decoder, ctc = (
            1.5 * max(float(np.quantile(column, 1 - FLAGGED_DEV_SHARE)), 0.1) for column in columns
        )
        return cls(decoder, ctc)


class FilterResult(NamedTuple):
    """The remaining tokens, and flags: silence, repeated, skipped, doubtful."""

    tokens: tuple[int, ...]
    flags: tuple[str, ...]


def filter_hypothesis(
    hypothesis: Hypothesis,
    log_probs: Tensor | None,
    wave: Wave,
    rate: int,
    thresholds: ConfidenceThresholds,
    spelling: Spelling = Spelling(),  # noqa: B008 (frozen)
) -> FilterResult:
    """Filter a hypothesis. log_probs (T, V) of CTC for the (S,) wave; None if decoding does not use CTC: it may be
    untrained. spelling: the CTC labels of the tokens."""
    tokens = hypothesis.tokens
    whole = remove_repetitions(tokens)
    # Without CTC nobody knows whether a short loop was spoken, such as four equal digits.
    looped = len(tokens) - len(whole) >= MIN_LOOP_TOKENS_WITHOUT_CTC
    if log_probs is not None and len(whole) < len(tokens):
        looped = text_log_prob(log_probs, whole, spelling) >= text_log_prob(log_probs, tokens, spelling)
        tokens = whole if looped else tokens
    if not tokens:
        return FilterResult((), ())
    if is_silent(levels_db(wave, rate)) or (
        log_probs is not None and ctc_log_prob(log_probs, ()) > text_log_prob(log_probs, tokens, spelling)
    ):
        return FilterResult((), ("silence",))
    uncertainty = measure_uncertainty(hypothesis._replace(tokens=tokens), log_probs, spelling)
    flags = {
        "repeated": looped,
        "skipped": uncertainty.ctc > thresholds.ctc,
        "doubtful": uncertainty.decoder > thresholds.decoder,
    }
    return FilterResult(tokens, tuple(name for name, there in flags.items() if there))


def measure_uncertainty(
    hypothesis: Hypothesis,
    log_probs: Tensor | None,
    spelling: Spelling = Spelling(),  # noqa: B008 (frozen)
) -> ConfidenceThresholds:
    """Uncertainty of a text in nats per token, by decoder and CTC; 0 for one that decoding does not use."""
    count = len(hypothesis.tokens)
    decoder = -hypothesis.component_scores.get("attention", 0.0) / (count + 1)
    if log_probs is None:
        return ConfidenceThresholds(decoder, 0.0)
    best = float(log_probs.amax(-1).sum())
    margin = best - text_log_prob(log_probs, hypothesis.tokens, spelling)
    return ConfidenceThresholds(decoder, min(margin / max(count, 1), 1e6))


def text_log_prob(log_probs: Tensor, tokens: Sequence[int], spelling: Spelling) -> float:
    """The CTC log-probability of a text's tokens under log_probs (T, V); -inf if their labels do not fit."""
    return ctc_log_prob(log_probs, spelling.spell(tokens)[0])


def ctc_log_prob(log_probs: Tensor, labels: Sequence[int]) -> float:
    """The CTC log-probability of the labels under log_probs (T, V); -inf if they do not fit."""
    targets = torch.tensor([labels], dtype=torch.int64, device=log_probs.device)
    frames, count = torch.tensor([len(log_probs)]), torch.tensor([len(labels)])
    loss = F.ctc_loss(log_probs[:, None].float(), targets, frames, count, blank=BLANK, reduction="sum")
    return -float(loss) if math.isfinite(float(loss)) else -math.inf


def remove_repetitions(tokens: tuple[int, ...]) -> tuple[int, ...]:
    """The tokens with each loop (MIN_LOOP_REPEATS repetitions or more) reduced to one phrase."""
    row = np.array(tokens)
    for size in range(1, min(MAX_LOOP_TOKENS, len(row) // MIN_LOOP_REPEATS) + 1):
        same = np.concatenate(([0], (row[size:] == row[:-size]).astype(np.int8), [0]))
        begins, ends = np.flatnonzero(np.diff(same) == 1), np.flatnonzero(np.diff(same) == -1)
        for begin, end in zip(begins, ends, strict=True):
            if end - begin >= (MIN_LOOP_REPEATS - 1) * size:
                return remove_repetitions((*tokens[: begin + size], *tokens[end + size :]))
    return tokens
