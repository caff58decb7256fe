"""Several heads of one attention in parallel."""

from torch import Tensor, nn

from asrattn.attention.memory import Memory, masked_softmax, weighted_sum
from asrattn.config import check
from asrattn.layers.linear import Linear


class Heads(nn.Module):
    """H heads score an utterance apart, each with its share of the query and of the keys (Vaswani et al. 2017).

    One head reads the values as they are. Each of several reads a projection of its own, and a linear map joins what
    they found.
    """

    def __init__(self, values: int, count: int):
        super().__init__()
        check(
            values % count == 0, f"the frames have {values} features, which is no multiple of heads {count}"
        )
        self.count = count
        if count > 1:
            self.value = Linear(values, values)
            self.out = Linear(values, values)

    def split(self, x: Tensor) -> Tensor:
        """x (B, L, A) -> (B, H, L, A/H)."""
        return x.view(*x.shape[:2], self.count, -1).transpose(1, 2)

    def prepare(self, keys: Tensor, values: Tensor, mask: Tensor) -> Memory:
        """keys (B, T, A), values (B, T, D), mask (B, T) -> memory."""
        values = self.split(self.value(values)) if self.count > 1 else values[:, None]
        return Memory(self.split(keys), values, mask)

    def split_queries(self, queries: Tensor, memory: Memory) -> Tensor:
        """queries (N, A) -> (B, H, K, A/H)."""
        return self.split(queries.view(len(memory.mask), -1, queries.shape[-1]))

    def attend(self, scores: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """scores (B, H, K, T) -> contexts (N, D), the weights of each head (N, H, T)."""
        weights = masked_softmax(scores, memory.mask)
        context = weighted_sum(weights, memory.values)
        return self.out(context) if self.count > 1 else context, weights.transpose(1, 2).flatten(0, 1)
