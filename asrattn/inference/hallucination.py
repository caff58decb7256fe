"""Is it true? What was heard, held against the sound and the CTC head: silence, loops, skipped speech, doubt.

Attention decoders can write fluent text that nobody said, say a phrase again and again, or stop before the end. CTC
reads every frame once and does none of this, so where the two disagree, CTC is the one to ask.
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
from asrattn.text import BLANK

MIN_LOOP_REPEATS = 4  # so often must a phrase be there, one after the other, to be a loop
MAX_LOOP_TOKENS = 40  # tokens of it at most
FLAGGED_DEV_SHARE = 0.01  # share of dev whose doubts are not yet worth a word


@dataclass(frozen=True)
class ConfidenceThresholds:
    """Where doubt begins: nats a token by which the decoder is unsure, and by which CTC's best path beats the text."""

    decoder: float = 0.7
    ctc: float = 2.0

    def to_plain(self) -> dict[str, JSONValue]:
        return {"decoder": self.decoder, "ctc": self.ctc}

    @classmethod
    def from_plain(cls, plain: JSONValue) -> "ConfidenceThresholds":
        match plain:
            case {"decoder": float(decoder), "ctc": float(ctc), **rest} if not rest:
                return cls(decoder, ctc)
        raise CheckpointError(f"the limits of doubt are damaged: {plain!r:.80}; tune the model again")

    @classmethod
    def from_scores(cls, scores: Sequence["ConfidenceThresholds"]) -> "ConfidenceThresholds":
        """What all but a RARE share of these lie below, and half as much again, since dev is small."""
        columns = np.array([(d.decoder, d.ctc) for d in scores]).T
        decoder, ctc = (
            1.5 * max(float(np.quantile(column, 1 - FLAGGED_DEV_SHARE)), 0.1) for column in columns
        )
        return cls(decoder, ctc)


class FilterResult(NamedTuple):
    """The tokens that stand, and what is to be said of them: silence, repeated, skipped, doubtful."""

    tokens: tuple[int, ...]
    flags: tuple[str, ...]


def filter_hypothesis(
    hypothesis: Hypothesis, log_probs: Tensor | None, wave: Wave, rate: int, thresholds: ConfidenceThresholds
) -> FilterResult:
    """log_probs (T, V) of CTC for the (S,) wave; None where the search does not ask it: it may not be trained."""
    tokens = hypothesis.tokens
    looped = False
    if log_probs is not None and len(whole := remove_repetitions(tokens)) < len(tokens):
        looped = ctc_log_prob(log_probs, whole) >= ctc_log_prob(log_probs, tokens)
        tokens = whole if looped else tokens
    if not tokens:
        return FilterResult((), ())
    if is_silent(levels_db(wave, rate)) or (
        log_probs is not None and ctc_log_prob(log_probs, ()) > ctc_log_prob(log_probs, tokens)
    ):
        return FilterResult((), ("silence",))
    found = measure_uncertainty(hypothesis._replace(tokens=tokens), log_probs)
    flags = {
        "repeated": looped,
        "skipped": found.ctc > thresholds.ctc,
        "doubtful": found.decoder > thresholds.decoder,
    }
    return FilterResult(tokens, tuple(name for name, there in flags.items() if there))


def measure_uncertainty(hypothesis: Hypothesis, log_probs: Tensor | None) -> ConfidenceThresholds:
    """How much there is to doubt in a text; 0 from whom the search did not ask."""
    count = len(hypothesis.tokens)
    decoder = -hypothesis.component_scores.get("attention", 0.0) / (count + 1)
    if log_probs is None:
        return ConfidenceThresholds(decoder, 0.0)
    best = float(log_probs.amax(-1).sum())
    return ConfidenceThresholds(
        decoder, min((best - ctc_log_prob(log_probs, hypothesis.tokens)) / max(count, 1), 1e6)
    )


def ctc_log_prob(log_probs: Tensor, tokens: Sequence[int]) -> float:
    """The log-probability (T, V) of the tokens by CTC; -inf where they do not fit."""
    targets = torch.tensor([tokens], dtype=torch.int64, device=log_probs.device)
    frames, count = torch.tensor([len(log_probs)]), torch.tensor([len(tokens)])
    loss = F.ctc_loss(log_probs[:, None].float(), targets, frames, count, blank=BLANK, reduction="sum")
    return -float(loss) if math.isfinite(float(loss)) else -math.inf


def remove_repetitions(tokens: tuple[int, ...]) -> tuple[int, ...]:
    """A phrase that is there TIMES or more, one after the other, is there once."""
    row = np.array(tokens)
    for size in range(1, min(MAX_LOOP_TOKENS, len(row) // MIN_LOOP_REPEATS) + 1):
        same = np.concatenate(([0], (row[size:] == row[:-size]).astype(np.int8), [0]))
        begins, ends = np.flatnonzero(np.diff(same) == 1), np.flatnonzero(np.diff(same) == -1)
        for begin, end in zip(begins, ends, strict=True):
            if end - begin >= (MIN_LOOP_REPEATS - 1) * size:
                return remove_repetitions((*tokens[: begin + size], *tokens[end + size :]))
    return tokens
