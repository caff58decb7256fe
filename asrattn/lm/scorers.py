"""Language models and hotwords in a beam search: the right scorer for a model and a tokenizer."""

import logging
import math

import torch
from torch import Tensor

from asrattn.errors import LMError
from asrattn.lm.automaton import Automaton, Walker
from asrattn.lm.hotwords import Hotwords, HotwordScorer
from asrattn.lm.lookahead import WordScorer
from asrattn.lm.ngram import BEGIN, END, SIGNS, UNKNOWN, NGram
from asrattn.lm.units import names
from asrattn.text import EOS, RESERVED, Tokenizer

_log = logging.getLogger(__name__)


def of(
    model: NGram | Hotwords,
    tokenizer: Tokenizer,
    device: torch.device | str = "cpu",
    oov: float | None = None,
) -> "TokenScorer | WordScorer | HotwordScorer":
    """The scorer of a model's units for a tokenizer's tokens; what one does not know of the other is told.

    oov   of word models: log-probability of each character of an unknown word, -inf to forbid such words; None: all
          characters are equally likely

    Raises LMError where the units are not known, or do not suit the tokens.
    """
    if isinstance(model, Hotwords):
        favoured = HotwordScorer(model, tokenizer, device)
        _tell(favoured.unknown, "hotwords cannot be written by this model, and are left out")
        return favoured
    if model.units == "word":
        words = WordScorer(model, tokenizer, device, -math.log(tokenizer.size) if oov is None else oov)
        _tell(words.unknown, "words of the language model cannot be written by this model")
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
    _tell(tokens.unknown, "tokens of this model are unknown to the language model, and count as <unk>")
    return tokens


def _tell(unknown: list[str], what: str) -> None:
    if unknown:
        _log.warning("%d %s: %s", len(unknown), what, _some(unknown))


class TokenScorer:
    """A model whose words are the tokenizer's tokens: a Scorer (see asrattn.search). State: (N,) of the automaton.

    A token that the model does not know gets the probability of <unk>; `unknown` names them.
    """

    ceiling = 0.0

    def __init__(self, model: NGram, tokenizer: Tokenizer, device: torch.device | str = "cpu"):
        tokens = names(tokenizer)[RESERVED:]
        self.unknown = [token for token in tokens if token not in model.ids]
        if len(self.unknown) == len(tokens):
            raise LMError(
                "the language model knows no token of this model; are its letters of another case, or its units "
                f"other ones? It has {_some(model.words[len(SIGNS) :])}; the model {_some(tokens)}"
            )
        known = [model.ids.get(token, UNKNOWN) for token in tokens]
        read, foretold = ([UNKNOWN] * RESERVED + known for _ in range(2))
        read[EOS], foretold[EOS] = BEGIN, END  # what is read first is EOS, where the model has <s>
        columns = (torch.tensor(known, device=device) for known in (read, foretold))
        self.walker = Walker(Automaton.of(model, device), *columns)

    def start(self, n: int) -> Tensor:
        return self.walker.start(n)

    def score(self, state: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """tokens (N,) -> log-probabilities (N, V), state."""
        return self.walker.score(state, tokens)


def _some(words: "list[str] | tuple[str, ...]") -> str:
    return ", ".join(map(repr, words[:5])) + (", …" if len(words) > 5 else "")
