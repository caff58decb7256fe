"""Language models and hotwords in a beam search: the right scorer for a model and a tokenizer."""

import logging
import math
from collections.abc import Container, Sequence
from typing import Any

import torch
from torch import Tensor

from asrattn import text
from asrattn.errors import LMError
from asrattn.lm.automaton import Automaton, AutomatonScorer
from asrattn.lm.hotword_list import Hotwords
from asrattn.lm.hotwords import HotwordScorer
from asrattn.lm.lookahead import WordScorer
from asrattn.lm.neural import NeuralLM
from asrattn.lm.ngram import BEGIN, END, SPECIAL_WORDS, UNKNOWN, NGram
from asrattn.lm.units import token_strings
from asrattn.text import BLANK, EOS, RESERVED, Tokenizer

_log = logging.getLogger(__name__)
FusionModel = NGram | NeuralLM | Hotwords


def build_scorer(
    model: FusionModel,
    tokenizer: Tokenizer,
    device: torch.device | str = "cpu",
    oov: float | None = None,
) -> "TokenScorer | WordScorer | NeuralScorer | HotwordScorer":
    """The scorer of a model's units for a tokenizer's tokens; what one does not know of the other is told.

    oov   of word models: log-probability of each character of an unknown word, -inf to forbid such words; None: all
          characters are equally likely

    Raises LMError where the units are not known, or do not suit the tokens.
    """
    if isinstance(model, Hotwords):
        favoured = HotwordScorer(model, tokenizer, device)
        _warn_unknown(favoured.unknown, "hotwords cannot be written by this model, and are left out")
        return favoured
    if isinstance(model, NeuralLM):
        neural = NeuralScorer(model, tokenizer, device)
        _warn_unknown(
            neural.unknown, "tokens of this model are unknown to the language model, and count as unknown"
        )
        return neural
    if model.units == "word":
        words = WordScorer(model, tokenizer, device, -math.log(tokenizer.size) if oov is None else oov)
        _warn_unknown(words.unknown, "words of the language model cannot be written by this model")
        return words
    if not model.units:
        raise LMError(
            "the language model does not say what its words are; give --lm-units word, char or token"
        )
    if model.units == "char" and any(len(token) > 1 for token in tokenizer.tokens):
        raise LMError(
            "the language model is over characters, this model writes longer tokens; train one over these: "
            "asrattn lm train --units token --tokenizer MODEL"
        )
    tokens = TokenScorer(model, tokenizer, device)
    _warn_unknown(
        tokens.unknown, "tokens of this model are unknown to the language model, and count as <unk>"
    )
    return tokens


def _warn_unknown(unknown: list[str], what: str) -> None:
    if unknown:
        _log.warning("%d %s: %s", len(unknown), what, _some(unknown))


class TokenScorer:
    """A model whose words are the tokenizer's tokens: a Scorer (see asrattn.decoding.scorers).

    State: (N,) of the automaton.

    A token that the model does not know gets the probability of <unk>; `unknown` names them.
    """

    ceiling = 0.0

    def __init__(self, model: NGram, tokenizer: Tokenizer, device: torch.device | str = "cpu"):
        tokens = token_strings(tokenizer)[RESERVED:]
        self.unknown = _unknown(tokens, model.ids, model.words[len(SPECIAL_WORDS) :])
        known = [model.ids.get(token, UNKNOWN) for token in tokens]
        read, foretold = ([UNKNOWN] * RESERVED + known for _ in range(2))
        read[EOS], foretold[EOS] = BEGIN, END  # what is read first is EOS, where the model has <s>
        columns = (torch.tensor(known, device=device) for known in (read, foretold))
        self.automaton_scorer = AutomatonScorer(Automaton.from_ngram(model, device), *columns)

    def start(self, n: int) -> Tensor:
        return self.automaton_scorer.start(n)

    def score(self, state: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """tokens (N,) -> log-probabilities (N, V), state."""
        return self.automaton_scorer.score(state, tokens)


class NeuralScorer:
    """A neural model as a Scorer (see asrattn.decoding.scorers), also if the tokenizers' tokens differ in order.

    State: the network's. A token that the model does not know gets the probability of unknown ones; `unknown` names
    them.
    """

    ceiling = 0.0

    def __init__(self, model: NeuralLM, tokenizer: Tokenizer, device: torch.device | str = "cpu"):
        ids = {token: i for i, token in enumerate(model.tokenizer.tokens, RESERVED)}
        self.unknown = _unknown(tokenizer.tokens, ids, model.tokenizer.tokens)
        places = [*range(RESERVED), *(ids.get(token, text.UNKNOWN) for token in tokenizer.tokens)]
        self.network = model.network.to(device)
        self.places = torch.tensor(places, device=device)

    def start(self, n: int) -> Any:
        return self.network.start(n)

    def score(self, state: Any, tokens: Tensor) -> tuple[Tensor, Any]:
        """tokens (N,) -> log-probabilities (N, V), state."""
        logits, state = self.network.step(self.places[tokens], state)
        scores = logits.float().log_softmax(-1).index_select(1, self.places)
        scores[:, BLANK] = -torch.inf
        return scores, state


def _unknown(tokens: Sequence[str], known: Container[str], theirs: Sequence[str]) -> list[str]:
    """The tokens that a language model does not know. Raises LMError where it knows none."""
    unknown = [token for token in tokens if token not in known]
    if len(unknown) == len(tokens):
        raise LMError(
            "the language model knows no token of this model; are its letters of another case, or its units "
            f"other ones? It has {_some(theirs)}; the model {_some(tokens)}"
        )
    return unknown


def _some(words: Sequence[str]) -> str:
    return ", ".join(map(repr, words[:5])) + (", …" if len(words) > 5 else "")
