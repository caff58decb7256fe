"""Hypothesis: the result of decoding an utterance."""

from typing import NamedTuple


class Hypothesis(NamedTuple):
    """One hypothesis of an utterance.

    tokens            without EOS
    score             what it is ranked by; -inf if no allowed hypothesis is possible
    component_scores  unweighted log-probabilities, EOS included: "attention", "ctc" and the names of the fused scorers
    """

    tokens: tuple[int, ...]
    score: float
    component_scores: dict[str, float]
