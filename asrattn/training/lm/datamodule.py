"""LightningDataModule of sentences: tokens in batches bucketed by length."""

import hashlib
from collections.abc import Iterable, Iterator
from itertools import chain

import lightning as L
import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from asrattn.errors import DataError
from asrattn.lm.neural import pad_inputs_and_targets
from asrattn.text import UNKNOWN, Tokenizer, clean
from asrattn.training.data.sampler import EpochPlan, epoch_batches

LMBatch = tuple[Tensor, Tensor]


class Sentences:
    """All sentences of a text in one array: four bytes per token, since there may be billions."""

    def __init__(self, texts: Iterable[str], tokenizer: Tokenizer) -> None:
        """Raises DataError if there is no sentence."""
        self.counts: list[int] = []
        self.tokens: NDArray[np.int32] = np.fromiter(
            chain.from_iterable(self._encode(texts, tokenizer)), np.int32
        )
        self.ends = np.cumsum([0, *self.counts])
        self.unknown = int((self.tokens == UNKNOWN).sum())
        if not self.counts:
            raise DataError("there is no text to train a language model on; check the files")

    def _encode(self, texts: Iterable[str], tokenizer: Tokenizer) -> Iterator[list[int]]:
        for text in map(clean, texts):
            if text:
                tokens = tokenizer.encode_lossy(text)
                self.counts.append(len(tokens))
                yield tokens

    def fingerprint(self) -> str:
        """Of all sentences in their order."""
        found = hashlib.sha256(self.tokens.tobytes())
        found.update(self.ends.tobytes())
        return found.hexdigest()[:16]

    def __getitem__(self, number: int) -> NDArray[np.int32]:
        return self.tokens[self.ends[number] : self.ends[number + 1]]


class LMStepDataset(Dataset[LMBatch]):
    """The steps of an epoch: inputs and targets, (B, U) each; see `neural.pad_inputs_and_targets`."""

    def __init__(self, sentences: Sentences, plan: EpochPlan) -> None:
        self.sentences, self.plan = sentences, plan

    def __len__(self) -> int:
        return len(self.plan)

    def __getitem__(self, number: int) -> LMBatch:
        return pad_inputs_and_targets([self.sentences[i].tolist() for i in self.plan[number]])


class TextDataModule(L.LightningDataModule):
    """Steps of at most `max_tokens` tokens, drawn anew for each epoch."""

    def __init__(self, sentences: Sentences, max_tokens: int, seed: int) -> None:
        super().__init__()
        self.sentences, self.max_tokens, self.seed = sentences, max_tokens, seed

    def train_dataloader(self) -> DataLoader[LMBatch]:
        assert self.trainer is not None
        lengths = np.asarray(self.sentences.counts) + 1
        plan = epoch_batches(lengths, self.max_tokens, self.seed, self.trainer.current_epoch)
        return DataLoader(LMStepDataset(self.sentences, plan), batch_size=None)
