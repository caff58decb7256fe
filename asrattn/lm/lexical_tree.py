"""Lexical prefix tree: the words of a language model by their characters."""

from collections.abc import Sequence
from typing import NamedTuple, Self

import torch
from torch import Tensor

from asrattn.errors import LMError
from asrattn.lm.ngram import SPECIAL_WORDS, UNKNOWN
from asrattn.text import BLANK, EOS, RESERVED, Tokenizer

ROOT, OOV_NODE = range(2)  # no word is begun; the word is outside of the tree
MAX_TABLE_ENTRIES = 1 << 28  # nodes times tokens


class LexicalTree(NamedTuple):
    """T nodes, then W finished words as columns T + w; <unk> is spelled by the node OUT.

    columns   (T, V) int64: the node or finished word to which a token leads; EOS and the space finish a word
    oov_characters  (T, V) int64: the characters of an unknown word that the token adds; on leaving the tree all so far
    depths    (T,) int64: characters from the root
    path      every word's nodes and its column, one word after the other; spans (W, 2): begin and count of each
    unwritable  words that cannot be spelled
    """

    columns: Tensor
    oov_characters: Tensor
    depths: Tensor
    path: Tensor
    spans: Tensor
    unwritable: list[str]

    @classmethod
    def from_words(cls, words: Sequence[str], tokenizer: Tokenizer) -> Self:
        """Raises LMError for a tokenizer that does not write single characters and spaces, or no word of the model."""
        ids = {token: i for i, token in enumerate(tokenizer.tokens, RESERVED)}
        if " " not in ids or any(len(token) > 1 for token in ids):
            raise LMError(
                "a word language model needs a model that writes single characters, the space among them; "
                "train one over this model's tokens: asrattn lm train --units token --tokenizer MODEL"
            )
        letters = set(ids) - {" "}
        spelled = {
            w: word for w, word in enumerate(words) if w >= len(SPECIAL_WORDS) and set(word) <= letters
        }
        unknown = [word for word in words[len(SPECIAL_WORDS) :] if not set(word) <= letters]
        if not spelled:
            raise LMError(
                f"none of the language model's words ({', '.join(map(repr, unknown[:5]))}, …) can be written with "
                f"this model's characters ({''.join(sorted(letters))}); are its letters of another case?"
            )
        children, paths = _build_tree({w: [ids[c] for c in word] for w, word in spelled.items()})
        return cls(*_tables(children, paths, len(words), tokenizer.size, ids[" "]), unknown)

    def word_paths(self, words: Tensor) -> tuple[Tensor, Tensor]:
        """(n,) -> of all columns on their paths, which of the words they belong to, and the columns."""
        begin, count = self.spans[words].T
        which = torch.repeat_interleave(count)
        ahead = torch.arange(len(which)) - (count.cumsum(0) - count)[which]
        return which, self.path[begin[which] + ahead]

    def oov_cost(self, oov: float) -> Tensor:
        """(T, V): what a token costs beside the look-ahead; -inf where there is nothing to score."""
        cost = torch.where(self.oov_characters > 0, self.oov_characters * oov, 0.0)
        cost[:, BLANK] = -torch.inf
        return cost


Children = list[dict[int, int]]
Paths = dict[int, list[int]]


def _build_tree(spellings: dict[int, list[int]]) -> tuple[Children, Paths]:
    """Tokens of each word -> the children of each node by token, and the nodes on the path of each word."""
    children: Children = [{}, {}]
    paths: Paths = {UNKNOWN: [OOV_NODE]}
    for word, tokens in spellings.items():
        node, path = ROOT, []
        for token in tokens:
            if token not in children[node]:
                children[node][token] = len(children)
                children.append({})
            node = children[node][token]
            path.append(node)
        paths[word] = path
    return children, paths


def _tables(
    children: Children, paths: Paths, W: int, V: int, space: int
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """columns, leaves, depths, path and spans of a Tree."""
    T = len(children)
    if T * V > MAX_TABLE_ENTRIES:
        raise LMError(f"{T} beginnings of words by {V} tokens do not fit the memory; leave rare words out")
    depths = torch.zeros(T, dtype=torch.int64)
    ends = torch.full((T,), T + UNKNOWN)
    spans = torch.zeros(W, 2, dtype=torch.int64)
    flat: list[int] = []
    for word, path in paths.items():
        spans[word] = torch.tensor([len(flat), len(path) + 1])
        flat += [*path, T + word]
        depths[path] = torch.arange(1, len(path) + 1)
        ends[path[-1]] = T + word
    ends[ROOT], depths[OOV_NODE] = ROOT, 0
    columns = torch.full((T, V), OOV_NODE)
    leaves = (depths + 1)[:, None].repeat(1, V)
    for node, following in enumerate(children):
        tokens, nodes = list(following), list(following.values())
        columns[node, tokens] = torch.tensor(nodes, dtype=torch.int64)
        leaves[node, tokens] = 0
    for token in (space, EOS):
        columns[:, token] = ends
        leaves[:, token] = torch.where(ends == T + UNKNOWN, depths, 0)
    return columns, leaves, depths, torch.tensor(flat), spans
