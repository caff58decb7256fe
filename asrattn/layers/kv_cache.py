"""Key/value cache of self-attention, shared by the hypotheses of an utterance as a tree."""

from collections.abc import Iterable
from typing import NamedTuple, Self

import torch
from torch import Tensor

PRUNE_INTERVAL_TOKENS = 8  # tokens a hypothesis grows by before dead branches are cut off


class KeyValues(NamedTuple):
    """Keys and values of one layer: (B, H, S, D/H) each."""

    keys: Tensor
    values: Tensor


class KVCache(NamedTuple):
    """What K hypotheses of each of B utterances have read, as a tree of S nodes for each utterance.

    The tokens that hypotheses have in common are held once, and nothing is moved when a search chooses among them: only
    their paths are. Hypotheses that survive soon have nearly all in common, so that S is little more than the length.

    layers   the nodes, for each layer
    paths    (B, K, S): True for the nodes that a hypothesis has come by
    length   of the paths
    room     number of nodes from which on those on no path are dropped
    """

    layers: tuple[KeyValues, ...]
    path_mask: Tensor
    length: int
    max_nodes: int

    @classmethod
    def empty(cls, like: Tensor, B: int, layers: int, heads: int, dim: int) -> Self:
        """One empty hypothesis for each of B utterances, heads of `dim`, of the dtype and on the device of `like`."""
        nodes = like.new_zeros(B, heads, 0, dim)
        paths = torch.zeros(B, 1, 0, dtype=torch.bool, device=like.device)
        return cls((KeyValues(nodes, nodes),) * layers, paths, 0, 0)

    def extended_paths(self) -> Tensor:
        """The paths with a new node for each hypothesis: (B, K, S + K)."""
        B, K, _ = self.path_mask.shape
        own = torch.eye(K, dtype=torch.bool, device=self.path_mask.device).expand(B, -1, -1)
        return torch.cat((self.path_mask, own), 2)

    def append(self, layers: Iterable[KeyValues], path_mask: Tensor) -> Self:
        """With the new nodes of each layer, and the paths that `next` gave."""
        return self._replace(layers=tuple(layers), path_mask=path_mask, length=self.length + 1)

    def reorder(self, rows: Tensor) -> Self:
        """Go on with the hypotheses `rows`: (B', K') if each line is of one utterance, the utterances in their order
        and some of them perhaps left out; (N,) in any order, each an utterance for itself from here on."""
        lines = rows if rows.dim() == 2 else rows[:, None]
        B, K, _ = self.path_mask.shape
        paths = self.path_mask.flatten(0, 1).index_select(0, rows.flatten()).view(*lines.shape, -1)
        layers = self.layers
        if rows.dim() == 1 or len(lines) < B:
            utterances = lines[:, 0] // K
            layers = tuple(
                KeyValues(*(each.index_select(0, utterances) for each in nodes)) for nodes in layers
            )
        chosen = self._replace(layers=layers, path_mask=paths)
        return chosen._pruned() if paths.shape[2] > self.max_nodes else chosen

    def _pruned(self) -> Self:
        """Without the nodes that no hypothesis has come by; where an utterance has fewer than others, some stay."""
        alive = self.path_mask.any(1)
        count = int(alive.sum(1).max())
        kept = alive.byte().argsort(stable=True, dim=1, descending=True)[:, :count]
        paths = self.path_mask.gather(2, kept[:, None].expand(-1, self.path_mask.shape[1], -1))
        layers = tuple(KeyValues(*(_take(each, kept) for each in nodes)) for nodes in self.layers)
        return self._replace(
            layers=layers, path_mask=paths, max_nodes=count + PRUNE_INTERVAL_TOKENS * paths.shape[1]
        )


def _take(nodes: Tensor, kept: Tensor) -> Tensor:
    """nodes (B, H, S, d), kept (B, S') -> (B, H, S', d)."""
    return nodes.gather(2, kept[:, None, :, None].expand(-1, nodes.shape[1], -1, nodes.shape[3]))
