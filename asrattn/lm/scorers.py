"""n-gram models in a beam search: the right scorer for a model and a tokenizer."""

import torch
from torch import Tensor

from asrattn.errors import LMError
from asrattn.lm import automaton
from asrattn.lm.automaton import Automaton
from asrattn.lm.ngram import BEGIN, END, SIGNS, UNKNOWN, NGram
from asrattn.lm.units import SPACE
from asrattn.text import BLANK, EOS, RESERVED, Tokenizer


class TokenScorer:
    """A model whose words are the tokenizer's tokens: a Scorer (see asrattn.search). State: (N,) of the automaton.

    A token that the model does not know gets the probability of <unk>; `unknown` names them.
    """

    def __init__(self, model: NGram, tokenizer: Tokenizer, device: torch.device | str = "cpu"):
        tokens = [token.replace(" ", SPACE) for token in tokenizer.tokens]
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
