"""Batches of utterances of like length, bounded by seconds of audio; the same ones for every number of processes."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from asrattn.errors import DataError
from asrattn.manifest import Utterance

JITTER = (
    0.03  # how far, relatively, lengths are shaken before sorting, so that neighbours change between epochs
)


@dataclass(frozen=True)
class Batch:
    """wave (B, S) · wave_lens (B,) samples · tokens (B, U) padded with BLANK · token_lens (B,) · utterances B.

    stretch (B,): by how much augmentation is to lengthen each; drawn first, so that batches fit the new lengths.
    """

    wave: Tensor
    wave_lens: Tensor
    tokens: Tensor
    token_lens: Tensor
    stretch: Tensor
    utterances: tuple[Utterance, ...]

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "Batch":
        names = ("wave", "wave_lens", "tokens", "token_lens", "stretch")
        moved = {name: getattr(self, name).to(device, non_blocking=non_blocking) for name in names}
        return replace(self, **moved)


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


def level(batches: Sequence[list[int]], world: int) -> list[list[int]]:
    """A multiple of `world` batches, so that all processes take equally many steps and none waits for ever.

    The fullest batches are halved: no utterance is repeated, none is left out. Only where there are too few
    utterances to halve are small batches joined instead, which may pass the bound. Raises DataError where there are
    fewer utterances than processes.
    """
    levelled = [list(b) for b in batches]
    if sum(map(len, levelled)) < world:
        raise DataError(
            f"{sum(map(len, levelled))} utterances cannot feed {world} processes; use fewer devices"
        )
    if sum(map(len, levelled)) < len(levelled) + (-len(levelled) % world):
        for _ in range(len(levelled) % world):
            levelled.sort(key=len, reverse=True)
            levelled[-2:] = [levelled[-2] + levelled[-1]]
    while len(levelled) % world:
        fullest = levelled.pop(max(range(len(levelled)), key=lambda i: len(levelled[i])))
        middle = len(fullest) // 2
        levelled += [fullest[:middle], fullest[middle:]]
    return levelled


def epoch_batches(
    seconds: Sequence[float], bound: float, world: int, seed: int, epoch: int
) -> list[list[int]]:
    """The batches of an epoch, for all processes together; process r takes `[r::world]`.

    Lengths are shaken a little, sorted and cut; then the batches are shuffled. The same for the same seed and epoch.
    """
    generator = torch.Generator().manual_seed(seed_of("batches", seed, epoch))
    shaken = torch.rand(len(seconds), generator=generator).mul_(2 * JITTER).add_(1 - JITTER)
    keys = (shaken * torch.tensor(seconds)).tolist()
    order = sorted(range(len(seconds)), key=keys.__getitem__)
    batches = level(cut(seconds, bound, order), world)
    return [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]


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
