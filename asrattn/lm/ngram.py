"""N-gram model with back-off, in sorted arrays.

A node is an n-gram, its parent the history without the last word: the key `parent * V + word` says where it hangs.
Nodes are numbered by length, then parent, then word, so that all keys are one rising array in which a search finds any
n-gram. Node 0 is the empty history, node 1 + w the word w alone.

    p(w | h) = p*(w | h)            where the n-gram (h, w) is a node
               α(h) · p(w | h')     elsewhere; h' is h without its first word, α 1 where h is no node
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

UNKNOWN, BEGIN, END = range(3)  # the first words of every model
SPECIAL_WORDS = ("<unk>", "<s>", "</s>")
ARPA_LOG_ZERO = -99 * float(np.log(10))  # how ARPA files say that a word is not predicted: log10 p = -99


@dataclass(frozen=True, eq=False)
class NGram:
    """G nodes; probabilities in nats.

    words      (V,), those of SIGNS first
    units      what a word is: "word", "char" or "token"; "" if unknown
    keys       (G,) parent · V + word, rising; -1 for node 0
    starts     where the n-grams of each length begin, and G; `starts[1]` is 1
    suffix     (G,) the longest n-gram, shorter by at least its first word, that is a node
    log_prob   (G,) log p*; 0 for node 0
    backoff    (G,) log α; 0 where nothing follows
    """

    words: tuple[str, ...]
    units: str
    keys: Ints
    starts: tuple[int, ...]
    suffix: Ints
    log_prob: Floats
    backoff: Floats

    @property
    def order(self) -> int:
        return len(self.starts) - 2

    @property
    def sizes(self) -> list[int]:
        """How many n-grams there are of each length."""
        return np.diff(self.starts[1:]).tolist()

    @cached_property
    def parent(self) -> Ints:
        """(G,); -1 for node 0."""
        parents: Ints = self.keys // len(self.words)
        return parents

    @cached_property
    def word(self) -> Ints:
        """(G,) the last word of each; that of node 0 means nothing."""
        last: Ints = self.keys % len(self.words)
        return last

    @cached_property
    def ids(self) -> dict[str, int]:
        return {word: i for i, word in enumerate(self.words)}

    def level(self, length: int) -> slice:
        """The nodes of n-grams of this length."""
        return slice(self.starts[length], self.starts[length + 1])

    def find(self, histories: Ints, words: Ints) -> Ints:
        """(n,) nodes and words -> the node of each history with its word, 0 where there is none."""
        return find(self.keys, histories * len(self.words) + words)

    def lookup(self, histories: Ints, words: Ints) -> tuple[Floats, Ints]:
        """(n,) nodes and words -> log p(word | history), and the longest node that ends so."""
        total = np.zeros(len(words))
        histories, nodes = histories.copy(), self.find(histories, words)
        while len(missing := np.flatnonzero(nodes == 0)):
            total[missing] += self.backoff[histories[missing]]
            histories[missing] = self.suffix[histories[missing]]
            nodes[missing] = self.find(histories[missing], words[missing])
        return total + self.log_prob[nodes], nodes

    def lower_order_log_probs(self, length: int) -> Floats:
        """Of each n-gram of this length, from 2: the log-probability of its last word after one word less."""
        part = self.level(length)
        return self.lookup(self.suffix[self.parent[part]], self.word[part])[0]

    def score(self, ids: Ints, positions: Ints) -> Floats:
        """Log p of every word of a stream (n,) after the words before it in its sentence; see `counts.Stream`."""
        nodes = ids + 1
        found: Floats = self.log_prob[nodes]
        for length in range(2, self.order + 1):
            at = np.flatnonzero((positions >= length - 1) & (np.roll(nodes, 1) > 0))
            histories = nodes[at - 1]
            nodes = np.zeros_like(nodes)
            nodes[at] = longer = self.find(histories, ids[at])
            found[at] = np.where(longer > 0, self.log_prob[longer], found[at] + self.backoff[histories])
        return found


def find(keys: Ints, wanted: Ints) -> Ints:
    """Where each of the wanted stands among rising keys; 0 where it does not."""
    at = np.searchsorted(keys, wanted)
    np.minimum(at, len(keys) - 1, out=at)
    return np.where(keys[at] == wanted, at, 0)


def find_suffixes(keys: Ints, starts: Sequence[int], V: int) -> Ints:
    """The suffix of every node, found from those of its parent."""
    suffix = np.zeros(len(keys), np.int64)
    for begin, end in itertools.pairwise(starts[2:]):
        histories, words = suffix[keys[begin:end] // V], keys[begin:end] % V
        nodes = find(keys, histories * V + words)
        while len(missing := np.flatnonzero(nodes == 0)):
            histories[missing] = suffix[histories[missing]]
            nodes[missing] = find(keys, histories[missing] * V + words[missing])
        suffix[begin:end] = nodes
    return suffix
