"""What a search is told and what it answers."""

from typing import NamedTuple


class Hypothesis(NamedTuple):
    """One reading of an utterance.

    tokens   without EOS
    score    what it was ranked by; -inf where nothing the search was allowed to say is possible
    component_scores  unweighted log-probabilities, EOS included: "attention", "ctc" and the names of the fused scorers
    """

    tokens: tuple[int, ...]
    score: float
    component_scores: dict[str, float]
