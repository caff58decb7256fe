"""An n-gram model as an automaton: how it scores many hypotheses at once.

A state is a history that matters: one that something follows, or that has a back-off weight. A row of a state holds
what is explicit there; what is not comes from the state's suffix, with its weight. Small automata are turned into
dense tables, in which everything is one look-up; in others the back-off is walked, at most `order` steps for all at
once.
"""

from typing import NamedTuple, Self

import torch
from torch import Tensor

from asrattn.lm.ngram import BEGIN, NGram
from asrattn.text import BLANK

MAX_DENSE_ENTRIES = 1 << 23  # states times columns up to which tables are dense: 100 MB


class Arcs(NamedTuple):
    """Values of columns (words, or parts of words) in states; all tensors on one device.

    keys      (A,) int64, state · columns + column, rising; state 0 has every column
    values    (A,) float32
    weights   (S,) float32, added where a column is looked up in the suffix; 0 for state 0
    suffix    (S,) int64; 0 for state 0
    columns   C
    order     no chain of suffixes is longer, state 0 included
    """

    keys: Tensor
    values: Tensor
    weights: Tensor
    suffix: Tensor
    columns: int
    order: int

    def lookup(self, states: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
        """States and columns of one shape -> their values, and the arcs at which they were found."""
        total = torch.zeros(states.shape, device=states.device)
        for left in range(self.order, 0, -1):
            wanted = states * self.columns + columns
            arcs = torch.searchsorted(self.keys, wanted).clamp_(max=len(self.keys) - 1)
            if left > 1:
                found = self.keys[arcs] == wanted
                total = torch.where(found, total, total + self.weights[states])
                states = torch.where(found, states, self.suffix[states])
        return total + self.values[arcs], arcs

    def to(self, device: torch.device | str) -> Self:
        return self._replace(
            keys=self.keys.to(device),
            values=self.values.to(device),
            weights=self.weights.to(device),
            suffix=self.suffix.to(device),
        )

    def rows(self, states: Tensor) -> Tensor:
        """(N,) -> the values of all columns (N, C); shorter histories first, longer ones overwrite them."""
        chain = [(states, torch.zeros(len(states), device=states.device))]
        for _ in range(self.order - 1):
            states, weights = chain[-1]
            chain.append((self.suffix[states], weights + self.weights[states]))
        values = self.values[: self.columns] + chain[-1][1][:, None]
        for states, weights in reversed(chain[:-1]):
            begin = torch.searchsorted(self.keys, states * self.columns)
            count = torch.searchsorted(self.keys, (states + 1) * self.columns) - begin
            count[states == 0] = 0
            who = torch.repeat_interleave(count)
            ahead = torch.arange(len(who), device=who.device) - (count.cumsum(0) - count)[who]
            arcs = begin[who] + ahead
            values[who, self.keys[arcs] % self.columns] = self.values[arcs] + weights[who]
        return values


class Automaton(NamedTuple):
    """The words of an NGram as columns; targets (A,) are the states to which arcs lead."""

    arcs: Arcs
    targets: Tensor
    lengths: Tensor  # (S,) words in each state's history, rising
    start: int  # the state of <s>

    @classmethod
    def from_ngram(cls, model: NGram, device: torch.device | str = "cpu") -> Self:
        suffix, parent, backoff = map(torch.from_numpy, (model.suffix, model.parent, model.backoff))
        G, V = len(suffix), len(model.words)
        matters = backoff != 0
        matters[parent[1:]] = True
        numbers = matters.cumsum(0) - 1
        home = torch.arange(G)
        for _ in range(model.order):
            home = torch.where(matters[home], home, suffix[home])
        state_of = numbers[home]  # of each node the state of its longest history that matters
        lengths = torch.repeat_interleave(torch.tensor([1, *model.sizes]))[matters]
        arcs = Arcs(
            numbers[parent[1:]] * V + torch.from_numpy(model.word)[1:],
            torch.from_numpy(model.log_prob)[1:].float(),
            backoff[matters].float(),
            state_of[suffix[matters]],
            V,
            model.order,
        )
        return cls(arcs.to(device), state_of[1:].to(device), lengths.to(device), int(state_of[1 + BEGIN]))

    @property
    def states(self) -> int:
        return len(self.arcs.weights)

    def lookup(self, states: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
        """States and words of one shape -> log-probabilities and next states."""
        values, arcs = self.arcs.lookup(states, words)
        return values, self.targets[arcs]


class AutomatonScorer:
    """An automaton that hypotheses walk through token by token. State: (N,) of the automaton.

    history_columns, next_columns   (V,) the column of each token as the last one, and as the next
    """

    def __init__(self, automaton: Automaton, history_columns: Tensor, next_columns: Tensor):
        self.automaton, self.history_columns, self.next_columns = automaton, history_columns, next_columns
        self.next_states: Tensor | None = None
        self.table: Tensor | None = None
        if fits_dense_table(automaton.states * len(history_columns)):
            states = torch.arange(automaton.states, device=history_columns.device)
            every = states[:, None].expand(-1, len(history_columns))
            self.next_states = automaton.lookup(every, history_columns.expand_as(every))[1]
            self.table = self._rows(states)

    def start(self, n: int) -> Tensor:
        """(n,) the state in which nothing is known, not even the beginning."""
        return self.history_columns.new_zeros(n)

    def score(self, state: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """tokens (N,) -> values of every next token (N, V), state."""
        if self.next_states is None or self.table is None:
            state = self.automaton.lookup(state, self.history_columns[tokens])[1]
            return self._rows(state), state
        state = self.next_states.view(-1).index_select(
            0, torch.add(tokens, state, alpha=len(self.history_columns))
        )
        return self.table.index_select(0, state), state

    def _rows(self, states: Tensor) -> Tensor:
        rows = self.automaton.arcs.rows(states).index_select(1, self.next_columns)
        rows[:, BLANK] = -torch.inf
        return rows


def fits_dense_table(size: int) -> bool:
    """Whether a table of so many entries is kept dense."""
    return size <= MAX_DENSE_ENTRIES
