"""Masks of BEST-RQ: random spans of feature frames replaced by noise."""

from collections.abc import Sequence

import torch
from torch import Tensor

from asrattn.training.pretrain.config import BestRQConfig


def span_mask(frames: int, prob: float, span: int, generator: torch.Generator) -> Tensor:
    """(frames,) bool: a span of `span` frames starts at each frame with probability `prob`; spans may overlap, and the
    end cuts them. A frame is masked with probability 1 - (1 - prob)^span, less in the first span."""
    starts = torch.rand(frames, generator=generator) < prob
    begun = torch.nn.functional.pad(starts.long().cumsum(0), (span, 0))
    return begun[span:] > begun[:frames]


def mask_features(
    feats: Tensor, lens: Tensor, seeds: Sequence[int], config: BestRQConfig, span: int
) -> tuple[Tensor, Tensor]:
    """feats (B, F, M), lens (B,) -> feats with noise in the masked frames, and the mask (B, F), True where masked.

    Each utterance has its own seed, so that batching and padding change neither mask nor noise. Padding is not masked.
    """
    masked = torch.zeros(feats.shape[:2], dtype=torch.bool)
    noise = []
    for row, frames, seed in zip(masked, lens.tolist(), seeds, strict=True):
        generator = torch.Generator().manual_seed(seed)
        row[:frames] = span_mask(frames, config.mask_prob, span, generator)
        noise.append(torch.randn(int(row.sum()), feats.shape[2], generator=generator))
    masked = masked.to(feats.device)
    replaced = feats.clone()
    replaced[masked] = config.noise_std * torch.cat(noise).to(feats)
    return replaced, masked
