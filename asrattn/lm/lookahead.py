"""Look-ahead of word LM scores over a lexical prefix tree, in a beam search over characters.

The words hang in a tree by their characters. In the middle of a word a hypothesis has the probability of the best word
that it can still become (or the sum over all of them: `summed`), each character pays the difference to the node before,
and at the border the word's own probability is what has been paid (look-ahead: Ortmanns et al. 1996; open vocabulary:
Hori et al. 2017). A text's total is therefore exactly the word model's, and no increment is above zero.

A word outside of the tree costs p(<unk>) and `oov` for each of its characters; with -inf it cannot be written. Outside
of the tree and within one are added up as two ways to go on, so that leaving is never a gain.

Look-ahead backs off as the model does: its columns are the nodes of the tree and, behind them, the finished words.
If a history has none of a node's words, the suffix's look-ahead and weight are exact. Where it says less of its
best word than the suffix would (Katz, pruning), the best is taken from the suffix: a bound, which the border corrects.
"""

import torch
from torch import Tensor

from asrattn.errors import LMError
from asrattn.lm import automaton
from asrattn.lm.automaton import Arcs, Automaton
from asrattn.lm.lexical_tree import OOV_NODE, ROOT, LexicalTree
from asrattn.lm.ngram import END, NGram
from asrattn.text import EOS, Tokenizer


class WordScorer:
    """A Scorer (see asrattn.decoding.scorers) of a word model over a tokenizer's characters.

    State: (N,) of the automaton after the last whole word, and (N,) nodes of the tree. `unknown` are the model's words
    that the tokenizer cannot write.
    """

    ceiling = 0.0

    def __init__(
        self,
        model: NGram,
        tokenizer: Tokenizer,
        device: torch.device | str = "cpu",
        oov: float = -torch.inf,
        summed: bool = False,
    ):
        if oov > 0:
            raise LMError(f"an unknown word's characters cost {oov}; give a log-probability, not above 0")
        tree = LexicalTree.from_words(model.words, tokenizer)
        self.unknown = tree.unwritable
        self.automaton = Automaton.from_ngram(model)
        self.add = torch.logaddexp if summed else torch.maximum
        self.T = len(tree.depths)
        arcs, targets = _look_ahead(self.automaton, tree, summed)
        self.arcs = arcs.to(device)
        self.targets = targets.to(device)
        self.columns, self.extra = tree.columns.to(device), tree.oov_cost(oov).to(device)
        self.leaving = torch.full((arcs.columns,), -torch.inf)
        self.leaving[OOV_NODE + 1 : self.T] = tree.depths[OOV_NODE + 1 :] * oov
        self.leaving = self.leaving.to(device)
        states = torch.arange(self.automaton.states)
        self.final = self.automaton.lookup(states, torch.full_like(states, END))[0].to(device)
        self.values: Tensor | None = None
        self.next_states: Tensor | None = None
        if automaton.fits_dense_table(len(states) * arcs.columns):
            every = (
                states.to(device)[:, None],
                torch.arange(arcs.columns, device=device).repeat(len(states), 1),
            )
            self.values, self.next_states = self._ahead(*every), self._advance(*every)

    def start(self, n: int) -> tuple[Tensor, Tensor]:
        """(n,) histories of <s>, (n,) nodes: no word is begun."""
        nodes = self.columns.new_full((n,), ROOT)
        return torch.full_like(nodes, self.automaton.start), nodes

    def score(self, state: tuple[Tensor, Tensor], tokens: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """tokens (N,) -> log-probabilities (N, V), state."""
        states, nodes = state
        reached = self.columns.view(-1).index_select(0, torch.add(tokens, nodes, alpha=self.columns.shape[1]))
        states, nodes = self._advance(states, reached), torch.where(reached < self.T, reached, ROOT)
        columns = self.columns.index_select(0, nodes)
        scores = self._ahead(states[:, None], columns) + self.extra.index_select(0, nodes)
        scores -= self._ahead(states, nodes)[:, None]
        scores[:, EOS] += self.final.index_select(0, self._advance(states, columns[:, EOS]))
        return scores, (states, nodes)

    def _ahead(self, states: Tensor, columns: Tensor) -> Tensor:
        """States and columns that broadcast -> log-probability of what the columns can become."""
        if self.values is not None:
            return self.values.take(torch.add(columns, states, alpha=self.arcs.columns))
        states = states.expand_as(columns)
        values, _ = self.arcs.lookup(states, columns)
        unknown, _ = self.arcs.lookup(states[..., :1], torch.full_like(columns[..., :1], OOV_NODE))
        return self.add(values, unknown + self.leaving[columns]).masked_fill(columns == ROOT, 0.0)

    def _advance(self, states: Tensor, columns: Tensor) -> Tensor:
        """The states after the columns: of finished words the next one, else the same."""
        if self.next_states is not None:
            return self.next_states.take(torch.add(columns, states, alpha=self.arcs.columns))
        states = states.expand_as(columns)
        _, arcs = self.arcs.lookup(states, columns)
        return torch.where(columns < self.T, states, self.targets[arcs])


def _look_ahead(automaton: Automaton, tree: LexicalTree, summed: bool) -> tuple[Arcs, Tensor]:
    """Arcs over the tree's nodes and finished words, and where they lead; short histories first."""
    arcs = automaton.arcs
    C = len(tree.depths) + arcs.columns
    keys, values, targets = arcs.keys[:0], arcs.values[:0], automaton.targets[:0]
    for length in range(arcs.order):
        level = (automaton.lengths[arcs.keys // arcs.columns] == length).nonzero()[:, 0]
        states, words = arcs.keys[level] // arcs.columns, arcs.keys[level] % arcs.columns
        which, columns = tree.word_paths(words)
        key, place = torch.unique(states[which] * C + columns, return_inverse=True)
        sums = _gathered(arcs.values[level][which], place, summed)
        if length > 0:
            here, at, below = key // C, key % C, Arcs(keys, values, arcs.weights, arcs.suffix, C, arcs.order)
            lower = arcs.weights[here] + below.lookup(arcs.suffix[here], at)[0]
            if summed:
                less = arcs.weights[states] + arcs.lookup(arcs.suffix[states], words)[0]
                rest = lower.double().exp() - _gathered(less[which], place, summed).double().exp()
                ahead = (sums.double().exp() + rest.clamp(min=0.0)).log().float()
            else:
                ahead = torch.maximum(sums, lower)
            sums = torch.where(at < len(tree.depths), ahead, sums)
        keys, values = torch.cat((keys, key)), torch.cat((values, sums))
        leads = torch.zeros_like(key)
        leads[place] = automaton.targets[level][which]
        targets = torch.cat((targets, leads))
    return Arcs(keys, values, arcs.weights, arcs.suffix, C, arcs.order), targets


def _gathered(values: Tensor, place: Tensor, summed: bool) -> Tensor:
    """Log-probabilities (n,) that go to the same place: the largest of them, or their sum."""
    size = int(place.max()) + 1 if len(place) else 0
    if summed:
        total = torch.zeros(size, dtype=torch.float64).index_add(0, place, values.double().exp())
        return total.log().float()
    return torch.full((size,), -torch.inf).scatter_reduce(0, place, values, "amax")
