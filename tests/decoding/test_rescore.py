"""A second pass is what fusing the same model in a search without pruning would have found."""

from dataclasses import replace

import numpy as np
import pytest
from test_beam_search import WIDE
from test_shallow_fusion import V, WholeTextScorer, fusions
from toys import ToyDecoder, utterances

from asrattn.decoding import DecodingConfig
from asrattn.decoding.beam_search import beam_search
from asrattn.decoding.rescore import rescore


@pytest.mark.parametrize("config", [WIDE, DecodingConfig(beam_size=10**6, nbest=4, length_norm=0.5)])
def test_rescoring_everything_is_fusion(config):
    enc, lens, log_probs = utterances(1, 3, V, seed=33)
    decoder = ToyDecoder(V, seed=6)
    scorer, oracle = fusions("open")
    (fused,) = beam_search(decoder, enc, lens, log_probs, config, (scorer,))
    (every,) = beam_search(decoder, enc, lens, log_probs, replace(config, nbest=10**4))
    assert isinstance(oracle.scorer, WholeTextScorer)
    found = rescore(every, [oracle.scorer.total(h.tokens) for h in every], "lm", scorer.weight, config)
    best = found[: config.nbest]
    assert [h.tokens for h in best] == [h.tokens for h in fused]
    np.testing.assert_allclose([h.score for h in best], [h.score for h in fused], atol=1e-4)
    assert best[0].component_scores.keys() == fused[0].component_scores.keys()
