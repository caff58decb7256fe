"""LightningDataModule of speech: the micro-batches of each process for every step, resumable at any step."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import lightning as L
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, get_worker_info

from asrattn.cpu_count import usable_cpus
from asrattn.data.manifest import Utterance
from asrattn.errors import ConfigError, DataError
from asrattn.model.losses import LossNormalizer
from asrattn.text import BLANK, UNKNOWN
from asrattn.training.data.concat import concat_utterances
from asrattn.training.data.corpus import Corpus
from asrattn.training.data.dataset import (
    DroppedUtterance,
    Example,
    InMemoryDataset,
    ReadExample,
    SpeechDataset,
    partition_dropped,
)
from asrattn.training.data.sampler import (
    Batch,
    EpochPlan,
    bucket_by_duration,
    epoch_batches,
    micro_batches_of_rank,
    padding_ratio,
    shard_batches,
    stretch_factors,
)
from asrattn.training.recipe import DataConfig

log = logging.getLogger(__name__)

NORMALIZATION_UTTERANCES = 2000  # whose features give the mean and deviation (CMVN)
MAX_DROPPED_UTTERANCES = 200  # may be dropped in any case; beyond that fewer than are used


class SpeechDataModule(L.LightningDataModule):
    """Batches of a corpus for Lightning, which asks for new loaders in every epoch."""

    def __init__(self, corpus: Corpus, config: DataConfig, rate: int, stretch: float, seed: int) -> None:
        super().__init__()
        self.corpus = corpus
        self.config = config
        self.rate = rate
        self.stretch = stretch
        self.seed = seed
        self.max_device_seconds = min(config.batch_seconds, config.max_device_seconds or config.batch_seconds)
        self.seconds = corpus.train.seconds
        self.resume_position = (0, 0)  # epoch and step of it at which training starts
        self._planned: tuple[int, SpeechDataset, EpochPlan] | None = None
        self._reported: set[str] = set()
        self._dropped_count = self._used_count = 0

    def epoch_plan(self, epoch: int) -> EpochPlan:
        """All steps of an epoch, for all processes together; lengths are those after the speed stretch."""
        return self._epoch_data(epoch)[1]

    def train_dataloader(self) -> "DataLoader[list[Batch]]":
        """The steps of the current epoch: the micro-batches that this process takes of each."""
        assert self.trainer is not None
        epoch, world, rank = self.trainer.current_epoch, self.trainer.world_size, self.trainer.global_rank
        train, plan = self._epoch_data(epoch)
        done = self.resume_position[1] if self.resume_position[0] == epoch else 0
        return DataLoader(
            StepDataset(
                train,
                plan,
                self._stretch_factors(epoch, len(train)),
                self.max_device_seconds,
                world,
                rank,
                done,
            ),
            batch_size=None,
            sampler=ResumableSampler(done, len(plan)),
            num_workers=min(self.config.workers, usable_cpus()),
        )

    def val_dataloader(self) -> "DataLoader[Batch]":
        """Each dev utterance on exactly one process; a process without any gets an empty batch."""
        assert self.trainer is not None
        most = self.config.batch_utterances
        batches = bucket_by_duration(self.corpus.dev.seconds, self.max_device_seconds, max_utterances=most)
        own = batches[self.trainer.global_rank :: self.trainer.world_size]
        return DataLoader(
            DevDataset(self.corpus.dev, own or [[]]),
            batch_size=None,
            num_workers=min(self.config.workers, usable_cpus()),
        )

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Report dropped utterances, each once. Raises DataError if more were dropped than used."""
        if isinstance(batch, list):
            for each in batch:
                self._report_dropped(each)
        return batch

    def largest_batch(self) -> Batch:
        """The largest possible micro-batch: copies of the longest utterance, silent, as many as the bounds allow."""
        longest = int(self.seconds.argmax())
        seconds = float(self.seconds[longest])
        tokens = (UNKNOWN,) * self.corpus.train.token_count(longest)
        item = Example(
            Utterance("silence", "none", "", seconds),
            tokens,
            wave=np.zeros(int(seconds * self.rate), np.float32),
        )
        return collate([item] * self.max_utterances(seconds))

    def max_utterances(self, seconds: float) -> int:
        """The most utterances of this length that a micro-batch holds."""
        count = max(1, int(self.max_device_seconds / seconds))
        return min(count, self.config.batch_utterances or count)

    def normalization_batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Padded train waves (B, S), (B,) for the feature mean and deviation: all of them, or a sample."""
        train = self.corpus.train
        chosen = train.sample_indices(NORMALIZATION_UTTERANCES)
        read = train.reader(np.array(chosen))
        for batch in bucket_by_duration(self.seconds[chosen], self.config.batch_seconds):
            items, _ = partition_dropped(read(chosen[i]) for i in batch)
            collated = collate(items)
            yield collated.wave, collated.wave_lens

    def padding_ratio(self) -> float:
        """The fraction of padding in the first epoch."""
        train, plan = self._epoch_data(0)
        return padding_ratio(train.seconds * self._stretch_factors(0, len(train)), plan)

    def _epoch_data(self, epoch: int) -> tuple[SpeechDataset, EpochPlan]:
        """The examples of an epoch, and its steps."""
        if self._planned is None or self._planned[0] != epoch:
            train = self._concatenated(epoch)
            self._planned = epoch, train, self._plan(train, epoch)
        return self._planned[1:]

    def _concatenated(self, epoch: int) -> SpeechDataset:
        train, config = self.corpus.train, self.config
        if not config.concat_prob:
            return train
        if not isinstance(train, InMemoryDataset):
            raise ConfigError(
                "data.concat_prob: needs the corpus in memory; raise data.cache, or set data.concat_prob=0"
            )
        return concat_utterances(
            train, self.corpus.tokenizer, config.concat_prob, config.max_seconds, self.seed, epoch
        )

    def _plan(self, train: SpeechDataset, epoch: int) -> EpochPlan:
        seconds, bound = train.seconds * self._stretch_factors(epoch, len(train)), self.config.batch_seconds
        rising, most = epoch < self.config.sortagrad_epochs, self.config.batch_utterances
        if train.starts is None:
            return epoch_batches(seconds, bound, self.seed, epoch, rising, most)
        return shard_batches(seconds, train.starts, bound, self.seed, epoch, self.config.window, rising, most)

    def _stretch_factors(self, epoch: int, count: int) -> NDArray[np.float32]:
        return stretch_factors(count, self.stretch, self.seed, epoch)

    def _report_dropped(self, batch: Batch) -> None:
        self._dropped_count += len(batch.dropped)
        self._used_count += len(batch.utterances)
        if self._dropped_count > max(MAX_DROPPED_UTTERANCES, self._used_count):
            id_, reason, detail = batch.dropped[-1]
            raise DataError(
                f"{self._dropped_count} of {self._dropped_count + self._used_count} utterances could not be used "
                f"(the last: {id_}: {reason}: {detail}); mend the corpus, then --resume"
            )
        for id_, reason, detail in batch.dropped:
            if id_ not in self._reported:
                log.warning("dropped: %s: %s (%s)", id_, reason, detail)
            self._reported.add(id_)


class StepDataset(Dataset[list[Batch]]):
    """Steps by number: the micro-batches of one process. They must be asked for in ascending order from `first` on, by
    each of K workers every K-th, as a DataLoader does. Utterances of skipped steps and other processes are not read.

    A dropped utterance is missing from its batch and listed in `dropped`. It counts in the normaliser all the same: no
    process knows what another one cannot read.
    """

    def __init__(
        self,
        dataset: SpeechDataset,
        plan: EpochPlan,
        factors: NDArray[np.float32],
        bound: float,
        world: int,
        rank: int,
        first: int,
    ) -> None:
        self.dataset = dataset
        self.plan = plan
        self.factors = factors
        self.bound = bound
        self.world = world
        self.rank = rank
        self.first = first
        self._read: ReadExample | None = None
        self._last = -1

    def __len__(self) -> int:
        return len(self.plan)

    def __getitem__(self, number: int) -> list[Batch]:
        if self._read is None or number <= self._last:
            self._read = self.dataset.reader(
                self.plan.indices_of_rank(self._worker_steps(), self.world, self.rank)
            )
        self._last = number
        step = self.plan[number]
        lengths = {i: self.dataset.seconds[i] * self.factors[i] for i in step}
        normalizer = LossNormalizer(len(step), max(1, sum(map(self.dataset.token_count, step))))
        micro_batches = micro_batches_of_rank(step, lengths, self.bound, self.world, self.rank)
        return [self._collate_micro_batch(each, self._read, normalizer) for each in micro_batches]

    def _collate_micro_batch(
        self, indices: list[int], read: ReadExample, normalizer: LossNormalizer
    ) -> Batch:
        outcomes = [(i, read(i)) for i in indices]
        items = [replace(o, stretch=float(self.factors[i])) for i, o in outcomes if isinstance(o, Example)]
        dropped = tuple(o for _, o in outcomes if isinstance(o, DroppedUtterance))
        if items:
            return replace(collate(items), normalizer=normalizer, dropped=dropped)
        return replace(collate([SILENT_EXAMPLE]), utterances=(), normalizer=normalizer, dropped=dropped)

    def _worker_steps(self) -> range:
        """The steps that this DataLoader worker serves."""
        worker = get_worker_info()
        id_, count = (0, 1) if worker is None else (worker.id, worker.num_workers)
        return range(self.first + id_, len(self.plan), count)


class DevDataset(Dataset[Batch]):
    """Batches of dev by number. Raises AudioError: no dev utterance is dropped."""

    def __init__(self, dev: InMemoryDataset, batches: list[list[int]]) -> None:
        self.dev = dev
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, number: int) -> Batch:
        return collate([self.dev.read(i) for i in self.batches[number]])


class ResumableSampler(Sampler[int]):
    """The steps start … count - 1. Its length is that of the whole epoch, by which Lightning knows the last one."""

    def __init__(self, start: int, count: int) -> None:
        self.start = start
        self.count = count

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.start, self.count))

    def __len__(self) -> int:
        return self.count


# For a process without an utterance in a micro-batch: it must take part in the collectives.
SILENT_EXAMPLE = Example(Utterance("silence", "none", "", 1.0), wave=np.zeros(16000, np.float32))


def collate(items: Sequence[Example]) -> Batch:
    """A batch that is a whole step, padded with silence and BLANK; without items an empty one (0, 0)."""
    waves = [i.wave for i in items if i.wave is not None]
    assert len(waves) == len(items)
    wave = torch.zeros(len(items), max(map(len, waves), default=0))
    tokens = torch.full((len(items), max((len(i.tokens) for i in items), default=0)), BLANK)
    for b, (item, samples) in enumerate(zip(items, waves, strict=True)):
        wave[b, : len(samples)] = torch.from_numpy(samples)
        tokens[b, : len(item.tokens)] = torch.tensor(item.tokens, dtype=torch.int64)
    wave_lens = torch.tensor([len(w) for w in waves], dtype=torch.int64)
    token_lens = torch.tensor([len(i.tokens) for i in items], dtype=torch.int64)
    stretch = torch.tensor([i.stretch for i in items])
    normalizer = LossNormalizer(len(items), int(token_lens.sum()))
    utterances = tuple(i.utterance for i in items)
    return Batch(wave, wave_lens, tokens, token_lens, stretch, utterances, normalizer)
