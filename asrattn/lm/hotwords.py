"""Contextual biasing (hotwords): phrases whose tokens get a bonus in the beam search.

Phrases hang in a tree by their tokens. A token that goes on within a phrase, which begins and ends at the border of a
word, earns the phrase's bonus; where the phrase is left before its end, all is taken back (Zhao et al. 2019, with the
failure links of Aho & Corasick 1975). So a whole text has earned

    Σ weight(phrase) · tokens(phrase)   over the phrases in it: from the left, always the longest, none within another

whatever path the search has taken. Scripts that write no spaces have a border beside every token.
"""

import torch
from torch import Tensor

from asrattn.errors import LMError, TextError
from asrattn.lm.automaton import Arcs, Automaton, AutomatonScorer
from asrattn.lm.hotword_list import Hotwords
from asrattn.text import EOS, RESERVED, Tokenizer

OUTSIDE, WORD_BOUNDARY = range(2)  # within a word that is no hotword; before a word


class HotwordScorer:
    """A Scorer (see asrattn.decoding.scorers) of hotwords. State: (N,) nodes of the tree.

    ceiling   no increment is larger
    unknown   phrases with characters that the tokenizer cannot write; they take no part
    """

    def __init__(self, hotwords: Hotwords, tokenizer: Tokenizer, device: torch.device | str = "cpu"):
        """Raises LMError where no phrase can be written."""
        tree = _Tree(tokenizer)
        self.unknown: list[str] = []
        for phrase, weight in hotwords.phrases:
            try:
                tree.add(tokenizer.encode(phrase), weight)
            except TextError:
                self.unknown.append(phrase)
        if len(self.unknown) == len(hotwords.phrases):
            raise LMError(
                f"none of the hotwords ({', '.join(map(repr, self.unknown[:5]))}) can be written with this model's "
                "characters; are its letters of another case?"
            )
        tree.link()
        columns = torch.arange(tokenizer.size, device=device)
        self.automaton_scorer = AutomatonScorer(tree.automaton(device), columns, columns)
        self.ceiling = tree.ceiling()

    def start(self, n: int) -> Tensor:
        return self.automaton_scorer.start(n)

    def score(self, state: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """tokens (N,) -> what every next token earns, or loses (N, V), state."""
        return self.automaton_scorer.score(state, tokens)


class _Tree:
    """Every list has an entry for each node; OUTSIDE and BORDER have earned nothing.

    children   token -> node
    depth      tokens since the phrase began
    bonus      the largest weight of a phrase that goes through the node
    worth      of a whole phrase, its weight times its tokens; 0 elsewhere
    suffix     the node to continue from for a token that has no child here
    lost       what that costs: phrases that were whole on the way are kept, what was earned otherwise is taken back
    order      of the nodes, by depth
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.V = tokenizer.size
        texts = dict(enumerate(tokenizer.tokens, RESERVED))
        self.spaced = any(" " in text for text in texts.values())
        self.opens = {
            EOS,
            *(t for t, text in texts.items() if text.startswith(" ")),
        }  # a word has ended before
        self.closes = {EOS, *(t for t, text in texts.items() if text.endswith(" "))}  # a word begins behind
        self.children: list[dict[int, int]] = [{}, {}]
        self.depth, self.bonus, self.worth = [0, 0], [0.0, 0.0], [0.0, 0.0]
        self.suffix, self.lost, self.order = [OUTSIDE, OUTSIDE], [0.0, 0.0], [OUTSIDE, WORD_BOUNDARY]

    def add(self, tokens: list[int], weight: float) -> None:
        node = OUTSIDE if not self.spaced or tokens[0] in self.opens else WORD_BOUNDARY
        for token in tokens:
            if token not in self.children[node]:
                self._grow(node, token)
            node = self.children[node][token]
            self.bonus[node] = max(self.bonus[node], weight)
        self.worth[node] = weight * len(tokens)

    def _grow(self, node: int, token: int) -> None:
        self.children[node][token] = len(self.children)
        self.children.append({})
        self.depth.append(self.depth[node] + 1)
        for column in (self.bonus, self.worth, self.lost):
            column.append(0.0)
        self.suffix.append(OUTSIDE)

    def link(self) -> None:
        """Find what is kept and where to go on, for short beginnings first: longer ones go on from theirs."""
        for node in self.order:
            for token, child in self.children[node].items():
                if node in (OUTSIDE, WORD_BOUNDARY):
                    kept, (gain, self.suffix[child]) = 0.0, (0.0, self._foreign(token))
                elif self._whole(node, token):
                    kept, (gain, self.suffix[child]) = self.worth[node], self.step(OUTSIDE, token)
                else:
                    kept = self.earned(node) + self.lost[node]
                    gain, self.suffix[child] = self.step(self.suffix[node], token)
                self.lost[child] = kept + gain - self.earned(child)
                self.order.append(child)
        for node, worth in enumerate(self.worth):
            if worth and not self.spaced:  # every token is a border
                self.lost[node], self.suffix[node] = worth - self.earned(node), OUTSIDE

    def earned(self, node: int) -> float:
        return self.bonus[node] * self.depth[node]

    def step(self, node: int, token: int) -> tuple[float, int]:
        """What a token earns, and the node behind it."""
        gain = 0.0
        while token not in self.children[node] and node != OUTSIDE:
            if self._whole(node, token):
                gain, node = gain + self.worth[node] - self.earned(node), OUTSIDE
            else:
                gain, node = gain + self.lost[node], self.suffix[node]
        if token not in self.children[node]:
            return gain, self._foreign(token)
        child = self.children[node][token]
        return gain + self.earned(child) - self.earned(node), child

    def automaton(self, device: torch.device | str) -> Automaton:
        """The nodes as states. Of OUTSIDE all arcs are explicit, elsewhere those that do not fall back."""
        arcs = [(OUTSIDE, token) for token in range(self.V)]
        arcs += [(node, token) for node, below in enumerate(self.children) if node for token in below]
        if self.spaced:
            ends = (node for node, worth in enumerate(self.worth) if worth)
            arcs += [(node, token) for node in ends for token in self.opens - self.children[node].keys()]
        arcs.sort()
        gains, targets = zip(*(self.step(*arc) for arc in arcs), strict=True)
        chain = [1] * len(self.children)
        for node in self.order[1:]:
            chain[node] = chain[self.suffix[node]] + 1
        table = Arcs(
            torch.tensor([node * self.V + token for node, token in arcs]),
            torch.tensor(gains),
            torch.tensor(self.lost),
            torch.tensor(self.suffix),
            self.V,
            max(chain),
        )
        return Automaton(
            table.to(device),
            torch.tensor(targets, device=device),
            torch.tensor(self.depth, device=device),
            WORD_BOUNDARY,
        )

    def ceiling(self) -> float:
        """No token earns more; 0 at least."""
        most = [0.0] * len(self.children)
        for node in self.order:
            here = [self.earned(child) - self.earned(node) for child in self.children[node].values()]
            left = [self.lost[node] + most[self.suffix[node]]]
            whole = [self.worth[node] - self.earned(node) + most[OUTSIDE]] if self.worth[node] else []
            most[node] = max([*here, *left, *whole])
        return max(most)

    def _whole(self, node: int, token: int) -> bool:
        """Whether a phrase ends here and its last word ends before the token."""
        return self.worth[node] > 0 and (not self.spaced or token in self.opens)

    def _foreign(self, token: int) -> int:
        """The node after a token that is in no phrase."""
        return WORD_BOUNDARY if token in self.closes else OUTSIDE
