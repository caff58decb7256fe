"""Language models and hotwords. The n-grams here need numpy alone; `neural`, `hotwords`, `scorers` load torch.

A model joins the search as a Scorer (see asrattn.decoding.scorers): `start(n)` is the state of n empty hypotheses,
`score(state, tokens)` the log-probabilities (N, V) of every next token, and the next state.
"""

from asrattn.lm.config import LMConfig, LSTMLMConfig, TransformerLMConfig
from asrattn.lm.counts import SentenceStream, count_ngrams, encode_sentences
from asrattn.lm.ngram import NGram
from asrattn.lm.perplexity import Perplexity, perplexity
from asrattn.lm.smoothing import SMOOTHINGS, estimate
from asrattn.lm.units import SPACE, split_units

__all__ = [
    "SMOOTHINGS",
    "SPACE",
    "LMConfig",
    "LSTMLMConfig",
    "NGram",
    "Perplexity",
    "SentenceStream",
    "TransformerLMConfig",
    "count_ngrams",
    "encode_sentences",
    "estimate",
    "perplexity",
    "split_units",
]
