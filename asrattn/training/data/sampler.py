"""Batch sampler: bucketing by duration, steps bounded by seconds of audio, the same for any number of processes."""

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeAlias, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asrattn.data.manifest import Utterance
from asrattn.model.losses import LossNormalizer

Indices: TypeAlias = NDArray[Any]
Lengths: TypeAlias = Sequence[float] | NDArray[Any]
_CHUNK = 100_000  # lengths converted to Python floats at a time
LENGTH_JITTER_RATIO = (
    0.03  # relative jitter of lengths before sorting, so that neighbours change between epochs
)


@dataclass(frozen=True)
class Batch:
    """wave (B, S) · wave_lens (B,) samples · tokens (B, U) padded with BLANK · token_lens (B,) · utterances B.

    stretch (B,): the factor by which augmentation lengthens each; drawn first, so that batches fit the new lengths.
    normalizer: that of the step, of which this may be one micro-batch. A process without utterances in a micro-batch
    gets a silent one that does not count; `utterances` is empty then.
    dropped: utterances that could not be used: id, reason, detail.
    """

    wave: Tensor
    wave_lens: Tensor
    tokens: Tensor
    token_lens: Tensor
    stretch: Tensor
    utterances: tuple[Utterance, ...]
    normalizer: LossNormalizer
    dropped: tuple[tuple[str, str, str], ...] = ()

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "Batch":
        return self._map_tensors(lambda x: x.to(device, non_blocking=non_blocking))

    def halves(self) -> tuple["Batch", "Batch"]:
        """Two parts of at least two utterances."""
        middle, us = len(self.utterances) // 2, self.utterances
        first, second = self._map_tensors(lambda x: x[:middle]), self._map_tensors(lambda x: x[middle:])
        return replace(first, utterances=us[:middle]), replace(second, utterances=us[middle:])

    def _map_tensors(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        values = ((f.name, getattr(self, f.name)) for f in fields(self))
        changed: dict[str, Any] = {name: change(x) for name, x in values if isinstance(x, Tensor)}
        return replace(self, **changed)


def derive_seed(*parts: int | str) -> int:
    """A seed derived from the parts: the same on all machines, another one for any other parts."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


class EpochPlan(Sequence[list[int]]):
    """The steps of an epoch, in two arrays: millions of lists would fill the memory of every worker."""

    def __init__(self, steps: Iterable[Sequence[int] | Indices]) -> None:
        found = [np.asarray(step, np.int32) for step in steps]
        self._indices = np.concatenate([np.zeros(0, np.int32), *found])
        self._starts = np.cumsum([0, *map(len, found)])

    def __len__(self) -> int:
        return len(self._starts) - 1

    @overload
    def __getitem__(self, number: int) -> list[int]: ...
    @overload
    def __getitem__(self, number: slice) -> list[list[int]]: ...
    def __getitem__(self, number: int | slice) -> list[int] | list[list[int]]:
        if isinstance(number, slice):
            return [self[n] for n in range(*number.indices(len(self)))]
        number = range(len(self))[number]
        step: list[int] = self._indices[self._starts[number] : self._starts[number + 1]].tolist()
        return step

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EpochPlan) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def indices_of_rank(self, numbers: range, world: int, rank: int) -> Indices:
        """The indices that a process takes in the steps with these numbers, see `micro_batches_of_rank`."""
        chosen = np.zeros(len(self), bool)
        chosen[numbers.start : numbers.stop : numbers.step] = True
        sizes = np.diff(self._starts)
        places = np.arange(len(self._indices)) - np.repeat(self._starts[:-1], sizes)
        found: Indices = self._indices[np.repeat(chosen, sizes) & (places % world == rank)]
        return found


def bucket_by_duration(
    seconds: Lengths, bound: float, order: Sequence[int] | None = None, max_utterances: int = 0
) -> list[list[int]]:
    """Bucketing: indices into `seconds` in the given order (default: by length), split into batches whose padded
    length (longest × count) stays within the bound. A longer single utterance is a batch of its own. A batch has at
    most `max_utterances`; 0 is no limit."""
    lengths = np.asarray(seconds, np.float64)
    indices = np.argsort(lengths, kind="stable") if order is None else np.asarray(order, np.int64)
    return [batch.tolist() for batch in _bucket(indices, lengths[indices], bound, max_utterances)]


def _bucket(indices: Indices, lengths: Indices, bound: float, max_utterances: int) -> list[Indices]:
    """Split the indices; the lengths are in their order."""
    most = max_utterances or len(indices)
    starts: list[int] = []
    count, longest = 0, 0.0
    for at in range(0, len(lengths), _CHUNK):
        for i, length in enumerate(lengths[at : at + _CHUNK].tolist(), at):
            longest = max(longest, length)
            if 0 < count < most and longest * (count + 1) <= bound:
                count += 1
            else:
                starts.append(i)
                count, longest = 1, length
    return np.split(indices, starts[1:]) if starts else []


def epoch_batches(
    seconds: Lengths, bound: float, seed: int, epoch: int, ascending: bool = False, max_utterances: int = 0
) -> EpochPlan:
    """The steps of an epoch, for all processes together; each takes its `micro_batches_of_rank`.

    Lengths are jittered, sorted and bucketed as by `bucket_by_duration`; then the steps are shuffled, or kept in
    ascending order (SortaGrad). The same for the same seed and epoch.
    """
    generator = torch.Generator().manual_seed(derive_seed("batches", seed, epoch))
    lengths = np.asarray(seconds)
    indices = np.arange(len(lengths))
    return EpochPlan(_bucket_and_shuffle(indices, lengths, bound, max_utterances, generator, ascending))


def shard_batches(
    seconds: Lengths,
    starts: Indices,
    bound: float,
    seed: int,
    epoch: int,
    window: int,
    ascending: bool = False,
    max_utterances: int = 0,
) -> EpochPlan:
    """As `epoch_batches`, for utterances that are read shard by shard; those of shard i are starts[i]:starts[i + 1].

    The shards are shuffled; each window of `window` shards is bucketed into steps, which are shuffled too, or kept in
    ascending order. So no more than a window must be in memory.
    """
    generator = torch.Generator().manual_seed(derive_seed("shards", seed, epoch))
    lengths = np.asarray(seconds)
    order = torch.randperm(len(starts) - 1, generator=generator).tolist()
    windows = (order[at : at + window] for at in range(0, len(order), window))
    members = (np.concatenate([np.arange(*starts[i : i + 2]) for i in shards]) for shards in windows)
    return EpochPlan(
        step
        for m in members
        for step in _bucket_and_shuffle(m, lengths[m], bound, max_utterances, generator, ascending)
    )


def _bucket_and_shuffle(
    indices: Indices,
    lengths: Indices,
    bound: float,
    max_utterances: int,
    generator: torch.Generator,
    ascending: bool,
) -> list[Indices]:
    jitter = (
        torch.rand(len(indices), generator=generator)
        .mul_(2 * LENGTH_JITTER_RATIO)
        .add_(1 - LENGTH_JITTER_RATIO)
    )
    order = torch.argsort(jitter * torch.as_tensor(lengths, dtype=torch.float32), stable=True).numpy()
    steps = _bucket(indices[order], lengths[order], bound, max_utterances)
    return (
        steps if ascending else [steps[i] for i in torch.randperm(len(steps), generator=generator).tolist()]
    )


def micro_batches_of_rank(
    batch: Sequence[int], seconds: Lengths | Mapping[int, float], bound: float, world: int, rank: int
) -> list[list[int]]:
    """The micro-batches of one process for a step, for gradient accumulation: each within `bound` seconds, padding
    included.

    All processes take equally many; some are empty if there are more of them than utterances.
    """
    fitting = max(1, int(bound / max(seconds[i] for i in batch)))
    count = math.ceil(len(batch) / world / fitting)
    return [list(batch[i :: world * count]) for i in range(rank, world * count, world)]


def stretch_factors(count: int, amount: float, seed: int, epoch: int) -> NDArray[np.float32]:
    """(count,) a factor for the length of each utterance in this epoch, uniform in 1 ± amount."""
    generator = torch.Generator().manual_seed(derive_seed("stretch", seed, epoch))
    factors: NDArray[np.float32] = (1 + amount * (2 * torch.rand(count, generator=generator) - 1)).numpy()
    return factors


def padding_ratio(seconds: Lengths, batches: Sequence[Sequence[int]]) -> float:
    """The fraction of padding in the batches, in [0, 1]."""
    used = sum(seconds[i] for batch in batches for i in batch)
    taken = sum(len(batch) * max(seconds[i] for i in batch) for batch in batches if batch)
    return 1 - used / taken if taken else 0.0
