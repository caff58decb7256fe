"""Configuration of decoding: beam size, n-best, CTC weight, length bonus and normalisation."""

from dataclasses import dataclass

from asrattn.config import check

MAX_BEAM_SIZE = 1_000_000


@dataclass(frozen=True)
class DecodingConfig:
    """score = ((1 - ctc)·attention + ctc·CTC + Σ weight·scorer + length_bonus·U) / (U + 1)^length_norm, U tokens.

    beam_size      beam size: hypotheses kept at each length
    nbest          how many are returned, best first
    ctc            weight of the CTC prefix score; at 1 the decoder is not used
    length_bonus   added for each token
    length_norm    0 ranks by the sum, 1 by the mean over the tokens and EOS; between them, partly
    max_length     in tokens per encoder frame; at least one token is always allowed
    min_length     in tokens
    patience       a hypothesis ends only where EOS is among its `beam_size` best tokens, and the search after
                   patience · beam_size of them (Kasai et al. 2024; 1 in Whisper, and with a beam of 1 greedy search).
                   0: all ends count, and the search is exact: no hypothesis left could become the best
    ctc_pre_beam   pre-beam: tokens of an utterance, the best by attention, that CTC scores; 0 is all of them.
                   Faster from a vocabulary of about a thousand on. With a CTC head over bytes it counts the tokens of
                   a hypothesis, the best by attention and the other scorers; 0 is max(2 · beam_size, 8).
    """

    beam_size: int = 10
    nbest: int = 1
    ctc: float = 0.3
    length_bonus: float = 0.0
    length_norm: float = 0.0
    max_length: float = 1.0
    min_length: int = 0
    ctc_pre_beam: int = 0
    patience: float = 0.0

    def __post_init__(self) -> None:
        for name in ("beam_size", "nbest"):
            size = getattr(self, name)
            check(1 <= size <= MAX_BEAM_SIZE, f"{name} is {size}; it must lie in [1, {MAX_BEAM_SIZE}]")
        check(0 <= self.ctc <= 1, f"ctc is {self.ctc}; it must lie in [0, 1]")
        check(0 <= self.length_norm <= 1, f"length_norm is {self.length_norm}; it must lie in [0, 1]")
        check(0 < self.max_length <= 100, f"max_length is {self.max_length}; it must lie in (0, 100]")
        check(self.min_length >= 0, f"min_length is {self.min_length}; it must not be negative")
        check(self.patience >= 0, f"patience is {self.patience}; it must not be negative")
        check(self.ctc_pre_beam >= 0, f"ctc_pre_beam is {self.ctc_pre_beam}; it must not be negative")
