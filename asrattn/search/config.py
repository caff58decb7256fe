"""Configuration of a search."""

from dataclasses import dataclass

from asrattn.config import check


@dataclass(frozen=True)
class SearchConfig:
    """score = ((1 - ctc)·attention + ctc·CTC + Σ weight·scorer + length_bonus·U) / (U + 1)^normalize, U tokens.

    beam           hypotheses kept at each length
    nbest          how many are returned, best first
    ctc            weight of the CTC prefix score; at 1 the decoder is not asked at all
    length_bonus   added for each token
    normalize      0 ranks by the sum, 1 by the mean over the tokens and EOS; between them, partly
    max_length     in tokens for each encoder frame; at least one token is always allowed
    min_length     in tokens
    candidates     how many tokens of an utterance, the best by attention, go on to the CTC; 0 is all of them.
                   It pays from a vocabulary of about a thousand.
    """

    beam: int = 10
    nbest: int = 1
    ctc: float = 0.3
    length_bonus: float = 0.0
    normalize: float = 0.0
    max_length: float = 1.0
    min_length: int = 0
    candidates: int = 0

    def __post_init__(self) -> None:
        check(self.beam >= 1, f"beam is {self.beam}; it must be at least 1")
        check(self.nbest >= 1, f"nbest is {self.nbest}; it must be at least 1")
        check(0 <= self.ctc <= 1, f"ctc is {self.ctc}; it must lie in [0, 1]")
        check(0 <= self.normalize <= 1, f"normalize is {self.normalize}; it must lie in [0, 1]")
        check(self.max_length > 0, f"max_length is {self.max_length}; it must be above 0")
        check(self.min_length >= 0, f"min_length is {self.min_length}; it must not be negative")
        check(self.candidates >= 0, f"candidates is {self.candidates}; it must not be negative")
