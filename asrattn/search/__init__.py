"""Search: what the model scores -> the best token sequences. Functions over protocols; they never touch the model."""

from asrattn.search.beam import beam_search
from asrattn.search.ctc_prefix import CTCPrefix
from asrattn.search.greedy import ctc_greedy, greedy
from asrattn.search.hypothesis import Hypothesis, SearchConfig
from asrattn.search.rescore import rescore
from asrattn.search.scorer import Fusion, Scorer

__all__ = [
    "CTCPrefix",
    "Fusion",
    "Hypothesis",
    "Scorer",
    "SearchConfig",
    "beam_search",
    "ctc_greedy",
    "greedy",
    "rescore",
]
