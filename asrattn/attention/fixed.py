"""Fixed context, a baseline without attention: one context for all tokens."""

import torch
from torch import Tensor, nn

from asrattn.attention.config import FixedContextConfig
from asrattn.attention.memory import Memory, Stateless, at_least_float32, weighted_sum


class FixedContext(nn.Module):
    """c = h_T, whatever the query (Sutskever et al. 2014; Cho et al. 2014), or c = 1/T Σ_t h_t.

    The last frame is a summary where the encoder is recurrent; of its backward half, it has seen that frame alone.
    """

    def __init__(self, config: FixedContextConfig, query: int, values: int):
        super().__init__()
        self.dim = values
        self.kind = config.kind

    def prepare(self, values: Tensor, mask: Tensor) -> Memory:
        """The keys are the weights, (B, 1, T, 1)."""
        real = at_least_float32(mask.to(values.dtype))
        lens = real.sum(-1, keepdim=True)
        places = torch.arange(1, mask.shape[1] + 1, device=mask.device)
        weights = real / lens if self.kind == "mean" else (places == lens).to(real.dtype)
        return Memory(weights[:, None, :, None], values[:, None], mask)

    def start(self, memory: Memory) -> Stateless:
        return ()

    def forward(self, query: Tensor, memory: Memory, state: Stateless) -> tuple[Tensor, Tensor, Stateless]:
        weights = memory.keys.transpose(-1, -2).expand(-1, -1, len(query) // len(memory.mask), -1)
        return weighted_sum(weights, memory.values), weights.flatten(0, 2)[:, None], ()
