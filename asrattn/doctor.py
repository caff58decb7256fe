"""Is attention well? What it does on some utterances, measured, with the CTC head as a second opinion."""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from asrattn import align
from asrattn.attention import measures
from asrattn.errors import DataError
from asrattn.model.speech_model import SpeechModel
from asrattn.text import EOS

SLACK = 2  # encoder frames that attention and alignment may differ by and still agree
SKIPPED, REPEATED = 0.3, 1.7  # of the weight that a token's frames should get, which is 1


class Looks(NamedTuple):
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

    def known(self) -> dict[str, float | None]:
        """By name; None for what cannot be told."""
        return {name: None if math.isnan(value) else value for name, value in self._asdict().items()}


UNSEEN = Looks(*[math.nan] * 6)


def mean(found: Sequence[Looks]) -> Looks:
    """Of several groups of utterances, each number over those which have it."""
    columns = ([each for each in column if not math.isnan(each)] for column in zip(*found, strict=True))
    return Looks(*(sum(c) / len(c) if c else math.nan for c in columns)) if found else UNSEEN


@torch.inference_mode()
def examine(
    model: SpeechModel,
    wave: Tensor,
    wave_lens: Tensor,
    tokens: Tensor,
    token_lens: Tensor,
    aligned: bool = True,
) -> Looks:
    """Attention in the teacher-forced pass over wave (B, S), wave_lens (B,), tokens (B, U) padded, token_lens (B,).

    aligned: whether the CTC head was trained, so that there is something to compare with.
    """
    enc = model.encode(wave, wave_lens)
    inputs = torch.nn.functional.pad(tokens, (1, 0), value=EOS)
    weights = model.decoder(inputs, enc.output, enc.lens).look[:, : tokens.shape[1]].float()
    found = (
        measures.focus(weights, token_lens, enc.lens),
        measures.monotonicity(weights, token_lens),
        measures.diagonality(weights, token_lens, enc.lens),
    )
    focus, monotonicity, diagonality = (each[token_lens > 0].mean().item() for each in found)
    skipped = repeated = agreement = math.nan
    if aligned:
        log_probs = model.ctc_log_probs(enc.output)
        skipped, repeated, agreement = _against_ctc(log_probs, enc.lens, weights, tokens, token_lens)
    return Looks(focus, monotonicity, diagonality, skipped, repeated, agreement)


def _against_ctc(
    log_probs: Tensor, lens: Tensor, weights: Tensor, tokens: Tensor, token_lens: Tensor
) -> tuple[float, float, float]:
    """Skipped, repeated, agreement; utterances whose text does not fit their frames are left out."""
    skipped = repeated = agreed = counted = 0.0
    for b, count in enumerate(token_lens.tolist()):
        length = int(lens[b])
        try:
            (spans,) = align.spans(
                log_probs[b : b + 1, :length], lens[b : b + 1], [tokens[b, :count].tolist()]
            )
        except DataError:
            continue
        if not spans:
            continue
        own = weights[b : b + 1, :count, :length]
        read = measures.read(own, torch.tensor([_borders(spans, length)], device=own.device))
        starts, ends = torch.tensor([[(s.start, s.end) for s in spans]], device=own.device).unbind(-1)
        agreed += measures.agreement(own, token_lens[b : b + 1], starts, ends, SLACK).item() * count
        skipped += (read < SKIPPED).sum().item()
        repeated += (read > REPEATED).sum().item()
        counted += count
    if not counted:
        return math.nan, math.nan, math.nan
    return skipped / counted, repeated / counted, agreed / counted


def _borders(spans: list[align.Span], length: int) -> list[int]:
    """Every frame belongs to a token: half of the way to its neighbours."""
    middles = [(a.end + b.start + 1) // 2 for a, b in itertools.pairwise(spans)]
    return [0, *middles, length]
