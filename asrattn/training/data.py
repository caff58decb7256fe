"""A corpus in steps: what each process takes of each, from any step on."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import lightning as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from asrattn.model import Whole
from asrattn.text import BLANK
from asrattn.training.batches import Batch, cut, epoch_batches, padding, portions, stretches
from asrattn.training.corpus import Corpus, Item, read
from asrattn.training.recipe import DataConfig

FITTED = 2000  # utterances the front-end's normalisation is taken from


class SpeechData(L.LightningDataModule):
    """Serves a corpus in batches to Lightning, which asks again for the loaders in every epoch."""

    def __init__(self, corpus: Corpus, config: DataConfig, rate: int, stretch: float, seed: int) -> None:
        super().__init__()
        self.corpus = corpus
        self.config = config
        self.rate = rate
        self.stretch = stretch
        self.seed = seed
        self.bound = min(config.batch_seconds, config.device_seconds or config.batch_seconds)
        self.seconds = [i.utterance.seconds for i in corpus.train]
        self.start = (0, 0)  # the epoch and the step of it that training begins with

    def train_batches(self, epoch: int) -> list[list[int]]:
        """All steps of an epoch, for all processes together; their lengths are those after the stretch."""
        return epoch_batches(self._stretched(epoch), self.config.batch_seconds, self.seed, epoch)

    def train_dataloader(self) -> "DataLoader[list[Batch]]":
        """The steps of the current epoch: what this process takes of each, pass by pass."""
        assert self.trainer is not None
        epoch, world, rank = self.trainer.current_epoch, self.trainer.world_size, self.trainer.global_rank
        factors, seconds = self._factors(epoch), self._stretched(epoch)
        items = [replace(item, stretch=f) for item, f in zip(self.corpus.train, factors, strict=True)]
        plan = [(b, portions(b, seconds, self.bound, world, rank)) for b in self.train_batches(epoch)]
        done = self.start[1] if self.start[0] == epoch else 0
        return DataLoader(
            Steps(Items(items, self.rate), plan),
            batch_size=None,
            sampler=From(done, len(plan)),
            num_workers=self.config.workers,
        )

    def val_dataloader(self) -> "DataLoader[Batch]":
        """Each dev utterance on exactly one process; a process for which there is none gets an empty batch."""
        assert self.trainer is not None
        batches = cut([i.utterance.seconds for i in self.corpus.dev], self.bound)
        own = batches[self.trainer.global_rank :: self.trainer.world_size]
        return DataLoader(
            Items(self.corpus.dev, self.rate),  # type: ignore[arg-type]
            batch_sampler=own or [[]],
            collate_fn=collate,
            num_workers=self.config.workers,
        )

    def largest(self) -> Batch:
        """The costliest pass there can be: as much of the longest utterance as the bound allows."""
        longest = max(range(len(self.seconds)), key=self.seconds.__getitem__)
        item = Items(self.corpus.train, self.rate)[longest]
        return collate([item] * max(1, int(self.bound / item.utterance.seconds)))

    def waves(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Padded train waves (B, S), (B,) for the normalisation of the front-end: all, or evenly chosen ones."""
        step = max(1, len(self.corpus.train) // FITTED)
        chosen = list(range(0, len(self.corpus.train), step))
        seconds = [self.seconds[i] for i in chosen]
        items = Items([self.corpus.train[i] for i in chosen], self.rate)
        for batch in cut(seconds, self.config.batch_seconds):
            collated = collate([items[i] for i in batch])
            yield collated.wave, collated.wave_lens

    def padding(self) -> float:
        """Its share in the first epoch."""
        return padding(self._stretched(0), self.train_batches(0))

    def _factors(self, epoch: int) -> list[float]:
        return stretches(len(self.seconds), self.stretch, self.seed, epoch)

    def _stretched(self, epoch: int) -> list[float]:
        return [s * f for s, f in zip(self.seconds, self._factors(epoch), strict=True)]


class Items(Dataset[Item]):
    """Items by index, their waves read where they are not in memory."""

    def __init__(self, items: list[Item], rate: int) -> None:
        self.items = items
        self.rate = rate

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Item:
        item = self.items[index]
        return item if item.wave is not None else replace(item, wave=read(item.utterance, self.rate))


class Steps(Dataset[list[Batch]]):
    """Steps by index: the passes of one process.

    plan     of each step all its items, and those of each pass
    """

    def __init__(self, items: Items, plan: list[tuple[list[int], list[list[int]]]]) -> None:
        self.items = items
        self.plan = plan

    def __len__(self) -> int:
        return len(self.plan)

    def __getitem__(self, index: int) -> list[Batch]:
        step, passes = self.plan[index]
        whole = Whole(len(step), sum(len(self.items.items[i].tokens) for i in step))
        return [self._portion(portion, step, whole) for portion in passes]

    def _portion(self, portion: list[int], step: list[int], whole: Whole) -> Batch:
        batch = replace(collate([self.items[i] for i in portion or step[:1]]), whole=whole)
        return batch if portion else replace(batch, utterances=())


class From(Sampler[int]):
    """The steps start … count - 1. Its length is that of the whole epoch, by which Lightning tells the last one."""

    def __init__(self, start: int, count: int) -> None:
        self.start = start
        self.count = count

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.start, self.count))

    def __len__(self) -> int:
        return self.count


def collate(items: Sequence[Item]) -> Batch:
    """A batch that is a whole by itself, padded with silence and BLANK; no items give an empty one (0, 0)."""
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
    whole = Whole(len(items), int(token_lens.sum()))
    return Batch(wave, wave_lens, tokens, token_lens, stretch, tuple(i.utterance for i in items), whole)
