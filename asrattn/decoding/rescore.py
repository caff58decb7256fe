"""A second pass: the hypotheses of a search, ranked again with one more score each."""

from collections.abc import Sequence

from asrattn.decoding.config import DecodingConfig
from asrattn.decoding.hypothesis import Hypothesis


def rescore(
    hypotheses: Sequence[Hypothesis],
    log_probs: Sequence[float],
    name: str,
    weight: float,
    config: DecodingConfig,
) -> list[Hypothesis]:
    """The hypotheses of one utterance and what a model says of each (its end included) -> best first.

    config is that of the search; the score comes out as if the model had been fused with this weight.
    """
    found = [
        Hypothesis(
            h.tokens,
            h.score + weight * log_prob / (len(h.tokens) + 1) ** config.length_norm,
            {**h.component_scores, name: log_prob},
        )
        for h, log_prob in zip(hypotheses, log_probs, strict=True)
    ]
    return sorted(found, key=lambda h: -h.score)
