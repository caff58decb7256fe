"""What self-attention has read so far, kept as a tree."""

from collections.abc import Iterable
from typing import NamedTuple, Self

import torch
from torch import Tensor

KEPT = 8  # tokens a hypothesis grows by before dead branches are cut off


class Nodes(NamedTuple):
    """Keys and values of one layer: (B, H, S, D/H) each."""

    keys: Tensor
    values: Tensor


class Cache(NamedTuple):
    """What K hypotheses of each of B utterances have read, as a tree of S nodes for each utterance.

    The tokens that hypotheses have in common are held once, and nothing is moved when a search chooses among them: only
    their paths are. Hypotheses that survive soon have nearly all in common, so that S is little more than the length.

    layers   the nodes, for each layer
    paths    (B, K, S): True for the nodes that a hypothesis has come by
    length   of the paths
    room     how many nodes there may be until those that nobody comes by are dropped
    """

    layers: tuple[Nodes, ...]
    paths: Tensor
    length: int
    room: int

    @classmethod
    def empty(cls, like: Tensor, B: int, layers: int, heads: int, dim: int) -> Self:
        """One empty hypothesis for each of B utterances, heads of `dim`, of the dtype and on the device of `like`."""
        nodes = like.new_zeros(B, heads, 0, dim)
        paths = torch.zeros(B, 1, 0, dtype=torch.bool, device=like.device)
        return cls((Nodes(nodes, nodes),) * layers, paths, 0, 0)

    def next(self) -> Tensor:
        """The paths with a new node for each hypothesis: (B, K, S + K)."""
        B, K, _ = self.paths.shape
        own = torch.eye(K, dtype=torch.bool, device=self.paths.device).expand(B, -1, -1)
        return torch.cat((self.paths, own), 2)

    def grown(self, layers: Iterable[Nodes], paths: Tensor) -> Self:
        """With the new nodes of each layer, and the paths that `next` gave."""
        return self._replace(layers=tuple(layers), paths=paths, length=self.length + 1)

    def follow(self, rows: Tensor) -> Self:
        """Go on with the hypotheses `rows`: (B', K') if each line is of one utterance, the utterances in their order
        and some of them perhaps left out; (N,) in any order, each an utterance for itself from here on."""
        lines = rows if rows.dim() == 2 else rows[:, None]
        B, K, _ = self.paths.shape
        paths = self.paths.flatten(0, 1).index_select(0, rows.flatten()).view(*lines.shape, -1)
        layers = self.layers
        if rows.dim() == 1 or len(lines) < B:
            utterances = lines[:, 0] // K
            layers = tuple(Nodes(*(each.index_select(0, utterances) for each in nodes)) for nodes in layers)
        chosen = self._replace(layers=layers, paths=paths)
        return chosen._pruned() if paths.shape[2] > self.room else chosen

    def _pruned(self) -> Self:
        """Without the nodes that no hypothesis has come by; where an utterance has fewer than others, some stay."""
        alive = self.paths.any(1)
        count = int(alive.sum(1).max())
        kept = alive.byte().argsort(stable=True, dim=1, descending=True)[:, :count]
        paths = self.paths.gather(2, kept[:, None].expand(-1, self.paths.shape[1], -1))
        layers = tuple(Nodes(*(_take(each, kept) for each in nodes)) for nodes in self.layers)
        return self._replace(layers=layers, paths=paths, room=count + KEPT * paths.shape[1])


def _take(nodes: Tensor, kept: Tensor) -> Tensor:
    """nodes (B, H, S, d), kept (B, S') -> (B, H, S', d)."""
    return nodes.gather(2, kept[:, None, :, None].expand(-1, nodes.shape[1], -1, nodes.shape[3]))
