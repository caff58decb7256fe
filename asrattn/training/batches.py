"""Steps of utterances of like length, bounded by seconds of audio; the same ones for every number of processes."""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from asrattn.manifest import Utterance
from asrattn.model import Whole

JITTER = (
    0.03  # how far, relatively, lengths are shaken before sorting, so that neighbours change between epochs
)


@dataclass(frozen=True)
class Batch:
    """wave (B, S) · wave_lens (B,) samples · tokens (B, U) padded with BLANK · token_lens (B,) · utterances B.

    stretch (B,): by how much augmentation is to lengthen each; drawn first, so that batches fit the new lengths.
    whole: the step this is a part of. Where a process has no part, it gets an utterance of another's that is not
    to count, and `utterances` is empty.
    """

    wave: Tensor
    wave_lens: Tensor
    tokens: Tensor
    token_lens: Tensor
    stretch: Tensor
    utterances: tuple[Utterance, ...]
    whole: Whole

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "Batch":
        return self._each(lambda x: x.to(device, non_blocking=non_blocking))

    def halves(self) -> tuple["Batch", "Batch"]:
        """Two parts of at least two utterances."""
        middle, us = len(self.utterances) // 2, self.utterances
        first, second = self._each(lambda x: x[:middle]), self._each(lambda x: x[middle:])
        return replace(first, utterances=us[:middle]), replace(second, utterances=us[middle:])

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        values = ((f.name, getattr(self, f.name)) for f in fields(self))
        changed: dict[str, Any] = {name: change(x) for name, x in values if isinstance(x, Tensor)}
        return replace(self, **changed)


def seed_of(*parts: int | str) -> int:
    """One seed for one purpose: stable between runs and machines, different for any other parts."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def cut(seconds: Sequence[float], bound: float, order: Sequence[int] | None = None) -> list[list[int]]:
    """Indices into `seconds`, in the given order (default: by length), cut where the longest times the count
    would pass the bound. An utterance that is longer by itself stands alone."""
    batches: list[list[int]] = []
    longest = 0.0
    for i in order if order is not None else sorted(range(len(seconds)), key=seconds.__getitem__):
        longest = max(longest, seconds[i])
        if batches and longest * (len(batches[-1]) + 1) <= bound:
            batches[-1].append(i)
        else:
            batches.append([i])
            longest = seconds[i]
    return batches


def epoch_batches(seconds: Sequence[float], bound: float, seed: int, epoch: int) -> list[list[int]]:
    """The steps of an epoch, for all processes together; each takes its `portions`.

    Lengths are shaken a little, sorted and cut; then the steps are shuffled. The same for the same seed and epoch.
    """
    generator = torch.Generator().manual_seed(seed_of("batches", seed, epoch))
    shaken = torch.rand(len(seconds), generator=generator).mul_(2 * JITTER).add_(1 - JITTER)
    keys = (shaken * torch.tensor(seconds)).tolist()
    order = sorted(range(len(seconds)), key=keys.__getitem__)
    batches = cut(seconds, bound, order)
    return [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]


def portions(
    batch: Sequence[int], seconds: Sequence[float], bound: float, world: int, rank: int
) -> list[list[int]]:
    """What a process takes of a step, in as many passes as keep each within `bound` seconds, padding included.

    All processes take equally many; a portion is empty where there are more of them than utterances.
    """
    fitting = max(1, int(bound / max(seconds[i] for i in batch)))
    passes = math.ceil(len(batch) / world / fitting)
    return [list(batch[i :: world * passes]) for i in range(rank, world * passes, world)]


def stretches(count: int, amount: float, seed: int, epoch: int) -> list[float]:
    """A factor for the length of each utterance in this epoch, uniform in 1 ± amount."""
    generator = torch.Generator().manual_seed(seed_of("stretch", seed, epoch))
    factors: list[float] = (1 + amount * (2 * torch.rand(count, generator=generator) - 1)).tolist()
    return factors


def padding(seconds: Sequence[float], batches: Sequence[Sequence[int]]) -> float:
    """The share of padding in the batches, between 0 and 1."""
    used = sum(seconds[i] for batch in batches for i in batch)
    taken = sum(len(batch) * max(seconds[i] for i in batch) for batch in batches if batch)
    return 1 - used / taken if taken else 0.0
