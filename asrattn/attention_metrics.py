"""Attention metrics: focus, monotonicity, diagonality; skipped, repeated and agreeing tokens by CTC alignment."""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from asrattn import forced_alignment
from asrattn.attention import measures
from asrattn.encoders.output import EncoderOutput
from asrattn.errors import DataError
from asrattn.model.speech_model import SpeechModel
from asrattn.text import EOS, Spelling

AGREEMENT_TOLERANCE_FRAMES = 2  # encoder frames that attention and alignment may differ by and still agree
MAX_SKIPPED_WEIGHT, MIN_REPEATED_WEIGHT = (
    0.3,
    1.7,
)  # of the weight that a token's frames should get, which is 1


class AttentionMetrics(NamedTuple):
    """Means over utterances, each between 0 and 1; not a number where it cannot be told.

    focus         1: each token looks at one frame; 0: at all alike
    monotonicity  share of tokens that do not look further back than the token before
    diagonality   1: close to the diagonal
    skipped       share of tokens whose frames nobody reads, by the CTC alignment
    repeated      share of tokens whose frames are read twice
    agreement     share of tokens that look where CTC hears them
    """

    focus: float
    monotonicity: float
    diagonality: float
    skipped: float
    repeated: float
    agreement: float

    def to_dict(self) -> dict[str, float | None]:
        """By name; None for what cannot be told."""
        return {name: None if math.isnan(value) else value for name, value in self._asdict().items()}


UNDEFINED_METRICS = AttentionMetrics(*[math.nan] * 6)


def mean(found: Sequence[AttentionMetrics]) -> AttentionMetrics:
    """Of several groups of utterances, each number over those which have it."""
    columns = ([each for each in column if not math.isnan(each)] for column in zip(*found, strict=True))
    return (
        AttentionMetrics(*(sum(c) / len(c) if c else math.nan for c in columns))
        if found
        else UNDEFINED_METRICS
    )


@torch.inference_mode()
def measure(
    model: SpeechModel,
    wave: Tensor,
    wave_lens: Tensor,
    tokens: Tensor,
    token_lens: Tensor,
    has_ctc: bool = True,
) -> AttentionMetrics:
    """Attention in the teacher-forced pass over wave (B, S), wave_lens (B,), tokens (B, U) padded, token_lens (B,).

    has_ctc: whether the CTC head was trained, so that there is something to compare with.
    """
    return measure_encoded(model, model.encode(wave, wave_lens), tokens, token_lens, has_ctc)


@torch.inference_mode()
def measure_encoded(
    model: SpeechModel, enc: EncoderOutput, tokens: Tensor, token_lens: Tensor, has_ctc: bool
) -> AttentionMetrics:
    """As `measure`, for the output of the encoder."""
    inputs = torch.nn.functional.pad(tokens, (1, 0), value=EOS)
    weights = model.decoder(inputs, enc.output, enc.lens).alignment_weights[:, : tokens.shape[1]].float()
    found = (
        measures.focus(weights, token_lens, enc.lens),
        measures.monotonicity(weights, token_lens),
        measures.diagonality(weights, token_lens, enc.lens),
    )
    focus, monotonicity, diagonality = (each[token_lens > 0].mean().item() for each in found)
    skipped = repeated = agreement = math.nan
    if has_ctc:
        log_probs = model.ctc_log_probs(enc.output, enc.lens)
        skipped, repeated, agreement = _against_ctc(
            log_probs, enc.lens, weights, tokens, token_lens, model.spelling
        )
    return AttentionMetrics(focus, monotonicity, diagonality, skipped, repeated, agreement)


def _against_ctc(
    log_probs: Tensor,
    lens: Tensor,
    weights: Tensor,
    tokens: Tensor,
    token_lens: Tensor,
    spelling: Spelling,
) -> tuple[float, float, float]:
    """Skipped, repeated, agreement; utterances whose text does not fit their frames are left out, and tokens without
    CTC labels."""
    skipped = repeated = agreed = counted = 0.0
    for b, count in enumerate(token_lens.tolist()):
        length = int(lens[b])
        try:
            (spans,) = forced_alignment.align_tokens(
                log_probs[b : b + 1, :length], lens[b : b + 1], [tokens[b, :count].tolist()], spelling
            )
        except DataError:
            continue
        spoken = [u for u, span in enumerate(spans) if span.end > span.start]
        spans = [spans[u] for u in spoken]
        if not spans:
            continue
        count = len(spans)
        own = weights[b : b + 1, spoken, :length]
        read = measures.token_coverage(
            own, torch.tensor([_token_boundaries(spans, length)], device=own.device)
        )
        starts, ends = torch.tensor([[(s.start, s.end) for s in spans]], device=own.device).unbind(-1)
        agreed += (
            measures.agreement(
                own, token_lens.new_tensor([count]), starts, ends, AGREEMENT_TOLERANCE_FRAMES
            ).item()
            * count
        )
        skipped += (read < MAX_SKIPPED_WEIGHT).sum().item()
        repeated += (read > MIN_REPEATED_WEIGHT).sum().item()
        counted += count
    if not counted:
        return math.nan, math.nan, math.nan
    return skipped / counted, repeated / counted, agreed / counted


def _token_boundaries(spans: list[forced_alignment.TokenSpan], length: int) -> list[int]:
    """Every frame belongs to a token: half of the way to its neighbours."""
    middles = [(a.end + b.start + 1) // 2 for a, b in itertools.pairwise(spans)]
    return [0, *middles, length]
