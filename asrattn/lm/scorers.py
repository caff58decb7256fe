"""n-gram models in a beam search: the right scorer for a model and a tokenizer."""

import logging
import math

import torch
from torch import Tensor

from asrattn.errors import LMError
from asrattn.lm import automaton
from asrattn.lm.automaton import Automaton
from asrattn.lm.lookahead import WordScorer
from asrattn.lm.ngram import BEGIN, END, SIGNS, UNKNOWN, NGram
from asrattn.lm.units import names
from asrattn.text import BLANK, EOS, RESERVED, Tokenizer

_log = logging.getLogger(__name__)


def of(
    model: NGram, tokenizer: Tokenizer, device: torch.device | str = "cpu", oov: float | None = None
) -> "TokenScorer | WordScorer":
    """The scorer of a model's units for a tokenizer's tokens; what one does not know of the other is told.

    oov   of word models: log-probability of each character of an unknown word, -inf to forbid such words; None: all
          characters are equally likely

    Raises LMError where the units are not known, or do not suit the tokens.
    """
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
        self.read, self.foretold = torch.tensor(read, device=device), torch.tensor(foretold, device=device)
        self.automaton = Automaton.of(model, device)
        self.next: Tensor | None = None
        self.table: Tensor | None = None
        if automaton.dense(self.automaton.states * len(read)):
            states = torch.arange(self.automaton.states, device=device)
            every = states[:, None].expand(-1, len(read))
            self.next = self.automaton.look(every, self.read.expand_as(every))[1]
            self.table = self._rows(states)

    def start(self, n: int) -> Tensor:
        """(n,) histories of nothing, not even <s>."""
        return self.read.new_zeros(n)

    def score(self, state: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """tokens (N,) -> log-probabilities (N, V), state."""
        if self.next is None or self.table is None:
            state = self.automaton.look(state, self.read[tokens])[1]
            return self._rows(state), state
        state = self.next.view(-1).index_select(0, torch.add(tokens, state, alpha=len(self.read)))
        return self.table.index_select(0, state), state

    def _rows(self, states: Tensor) -> Tensor:
        rows = self.automaton.arcs.rows(states).index_select(1, self.foretold)
        rows[:, BLANK] = -torch.inf
        return rows


def _some(words: "list[str] | tuple[str, ...]") -> str:
    return ", ".join(map(repr, words[:5])) + (", …" if len(words) > 5 else "")
