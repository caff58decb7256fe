"""N-best rescoring: rerank the hypotheses of a beam search with one more score each."""

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
    """The hypotheses of one utterance, and their log-probabilities by a model (EOS included) -> best first.

    config: that of the beam search; the score equals that of shallow fusion with this weight.
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
