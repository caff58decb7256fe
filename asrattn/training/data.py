"""A corpus in batches."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import lightning as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from asrattn.text import BLANK
from asrattn.training.batches import Batch, cut, epoch_batches, padding, stretches
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
        self.seconds = [i.utterance.seconds for i in corpus.train]

    def train_batches(self, epoch: int, world: int = 1) -> list[list[int]]:
        """All batches of an epoch; their lengths are those after the stretch."""
        return epoch_batches(self._stretched(epoch), self.config.batch_seconds, world, self.seed, epoch)

    def train_dataloader(self) -> "DataLoader[Batch]":
        assert self.trainer is not None
        epoch, world, rank = self.trainer.current_epoch, self.trainer.world_size, self.trainer.global_rank
        factors = stretches(len(self.seconds), self.stretch, self.seed, epoch)
        items = [replace(item, stretch=f) for item, f in zip(self.corpus.train, factors, strict=True)]
        return self._loader(items, self.train_batches(epoch, world)[rank::world])

    def val_dataloader(self) -> "DataLoader[Batch]":
        """Each dev utterance on exactly one process; a process for which there is none gets an empty batch."""
        assert self.trainer is not None
        batches = cut([i.utterance.seconds for i in self.corpus.dev], self.config.batch_seconds)
        own = batches[self.trainer.global_rank :: self.trainer.world_size]
        return self._loader(self.corpus.dev, own or [[]])

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

    def _stretched(self, epoch: int) -> list[float]:
        factors = stretches(len(self.seconds), self.stretch, self.seed, epoch)
        return [s * f for s, f in zip(self.seconds, factors, strict=True)]

    def _loader(self, items: list[Item], batches: list[list[int]]) -> "DataLoader[Batch]":
        return DataLoader(
            Items(items, self.rate),  # type: ignore[arg-type]
            batch_sampler=batches,
            collate_fn=collate,
            num_workers=self.config.workers,
        )


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


def collate(items: Sequence[Item]) -> Batch:
    """Pad with silence and BLANK; no items give an empty batch (0, 0)."""
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
    return Batch(wave, wave_lens, tokens, token_lens, stretch, tuple(i.utterance for i in items))
