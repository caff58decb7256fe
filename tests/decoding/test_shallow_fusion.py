"""Language models and hotwords in the beam: a wide one is an exhaustive search with their own totals."""

import math
import re
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_beam_search import WIDE, same
from toys import ToyDecoder, exhaustive, utterances

from asrattn import lm
from asrattn.decoding import DecodingConfig, early_stop
from asrattn.decoding.beam_search import beam_search
from asrattn.decoding.scorers import WeightedScorer
from asrattn.lm import LSTMLMConfig, TransformerLMConfig, neural
from asrattn.lm.hotword_list import Hotwords
from asrattn.lm.hotwords import HotwordScorer
from asrattn.lm.lookahead import WordScorer
from asrattn.lm.neural import NeuralLM
from asrattn.lm.ngram import BEGIN, END, UNKNOWN
from asrattn.lm.recurrent import LSTMLM
from asrattn.lm.scorers import NeuralScorer, TokenScorer
from asrattn.lm.transformer import TransformerLM
from asrattn.text import EOS, CharTokenizer

TEXTS = ["ab a", "abba", "b a ab", "ba", "a", "bb ab", "aab"]
TOKENIZER = CharTokenizer.train(["a b"])
V = TOKENIZER.size
NETWORKS: dict[str, neural.LMConfig] = {
    "lstm": LSTMLMConfig(dim=6, layers=2),
    "transformer": TransformerLMConfig(dim=8, layers=2, heads=2, ffn_dim=8),
}
KINDS = ["char", "closed", "open", "summed", "hotwords", *NETWORKS]


class WholeTextScorer:
    """A model's total of a text, word by word or character by character."""

    def __init__(self, model: lm.NGram, oov: float = 0.0):
        self.model, self.oov = model, oov
        self.total = cache(self._total)

    def _total(self, tokens: tuple[int, ...]) -> float:
        text = TOKENIZER.decode(tokens)  # characters are foretold at the borders of a text too
        words = text.split() if self.model.units == "word" else list(text.replace(" ", lm.SPACE))
        ids = np.array([BEGIN, *(self.model.ids.get(word, UNKNOWN) for word in words), END])
        spoken = float(self.model.score(ids, np.arange(len(ids)))[1:].sum())
        strange = sum(len(word) for word in words if word not in self.model.ids)
        return spoken + (strange * self.oov if self.model.units == "word" and strange else 0.0)


class Favoured:
    """What the whole phrases of a text have earned; here none is a part of another."""

    def __init__(self, *phrases: str):
        self.phrases = phrases

    def total(self, tokens: tuple[int, ...]) -> float:
        text = f" {TOKENIZER.decode(tokens)} "
        return sum(len(phrase) * len(re.findall(f"(?<= ){phrase}(?= )", text)) for phrase in self.phrases)


class TeacherForced:
    """A network's total of a text, in one pass."""

    def __init__(self, network: LSTMLM | TransformerLM):
        self.network = network
        self.total = cache(self._total)

    @torch.inference_mode()
    def _total(self, tokens: tuple[int, ...]) -> float:
        rows = self.network(torch.tensor([[EOS, *tokens]]))[0].log_softmax(-1)
        return float(rows.gather(1, torch.tensor([*tokens, EOS])[:, None]).sum())


def fusions(kind: str, device: str = "cpu") -> tuple[WeightedScorer, WeightedScorer]:
    """A scorer, and its oracle."""
    if kind in NETWORKS:
        torch.manual_seed(3)
        network = neural.build(NETWORKS[kind], V).eval()
        scorer = NeuralScorer(NeuralLM(network, TOKENIZER, {}), TOKENIZER, device)
        return WeightedScorer("lm", scorer, 0.7), WeightedScorer("lm", TeacherForced(network), 0.7)
    if kind == "hotwords":
        scorer = HotwordScorer(Hotwords((("ab", 1.0), ("b a", 1.0))), TOKENIZER, device)
        oracle = Favoured("ab", "b a")
        return WeightedScorer("lm", scorer, 0.7, scorer.ceiling), WeightedScorer("lm", oracle, 0.7)
    units = "char" if kind == "char" else "word"
    model = lm.estimate(lm.count_ngrams((lm.split_units(t, units) for t in TEXTS), 3), units=units)
    if units == "char":
        return WeightedScorer("lm", TokenScorer(model, TOKENIZER, device), 0.7), WeightedScorer(
            "lm", WholeTextScorer(model), 0.7
        )
    oov = -math.inf if kind == "closed" else -1.1
    scorer = WordScorer(model, TOKENIZER, device, oov=oov, summed=kind == "summed")
    return WeightedScorer("lm", scorer, 0.7), WeightedScorer("lm", WholeTextScorer(model, oov), 0.7)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "config", [WIDE, DecodingConfig(beam_size=10**6, nbest=4, ctc=0.0, length_bonus=0.8)]
)
def test_a_wide_beam_is_an_exhaustive_search(kind, config):
    enc, lens, log_probs = utterances(2, 4, V, seed=31)
    decoder = ToyDecoder(V, seed=4)
    scorer, oracle = fusions(kind)
    truth = exhaustive(decoder, enc, lens, log_probs, config, (oracle,))
    same(beam_search(decoder, enc, lens, log_probs, config, (scorer,)), truth, tolerance=1e-4)
    for h in truth[0]:
        assert kind != "closed" or all(
            word in "ab ba abba a b bb aab" for word in TOKENIZER.decode(h.tokens).split()
        )


@pytest.mark.parametrize("kind", KINDS)
def test_batched_is_one_by_one(kind):
    enc, lens, log_probs = utterances(5, 12, V, seed=32)
    decoder = ToyDecoder(V, seed=5)
    scorer, _ = fusions(kind)
    config = DecodingConfig(beam_size=4, nbest=3)
    found = beam_search(decoder, enc, lens, log_probs, config, (scorer,))
    for b, n in enumerate(lens.tolist()):
        one = slice(b, b + 1)
        alone = beam_search(decoder, enc[one, :n], lens[one], log_probs[one, :n], config, (scorer,))
        same(found[one], alone, tolerance=1e-4)


@settings(max_examples=10)
@given(seed=st.integers(0, 10**6), weight=st.sampled_from([0.3, 2.0]), beam=st.integers(1, 5))
def test_the_exact_stop_stays_exact_with_rewards(seed, weight, beam):
    enc, lens, log_probs = utterances(3, 9, V, seed)
    decoder = ToyDecoder(V, seed=seed, scale=4.0)
    scorer = HotwordScorer(Hotwords((("ab", 1.0), ("b a", 2.0))), TOKENIZER)
    hot = WeightedScorer("hot", scorer, weight, scorer.ceiling)
    config = DecodingConfig(beam_size=beam, nbest=2)
    found = beam_search(decoder, enc, lens, log_probs, config, (hot,))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            early_stop.ScoreUpperBound,
            "upper_bound",
            lambda self, totals, parts, length: totals[:, 0] + math.inf,
        )
        same(beam_search(decoder, enc, lens, log_probs, config, (hot,)), found)


@pytest.mark.gpu
@pytest.mark.parametrize("kind", ["char", "open", "hotwords", *NETWORKS])
def test_the_accelerator_finds_the_same(kind, accelerator):
    enc, lens, log_probs = utterances(5, 20, V, seed=34)
    config = DecodingConfig(ctc=1.0, beam_size=6, nbest=3)
    there = [x.to(accelerator) for x in (enc, lens, log_probs)]
    here = beam_search(None, enc, lens, log_probs, config, (fusions(kind)[0],))
    same(beam_search(None, *there, config, (fusions(kind, accelerator)[0],)), here, tolerance=1e-4)
