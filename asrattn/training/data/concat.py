"""Utterance concatenation: pairs of utterances of one speaker, drawn anew for each epoch."""

from collections import defaultdict

import numpy as np
import torch

from asrattn.data.manifest import Utterance
from asrattn.errors import TextError
from asrattn.text import Tokenizer, join_texts
from asrattn.training.data.dataset import Example, InMemoryDataset, check_token_count
from asrattn.training.data.sampler import derive_seed


def concat_utterances(
    dataset: InMemoryDataset, tokenizer: Tokenizer, prob: float, max_seconds: float, seed: int, epoch: int
) -> InMemoryDataset:
    """The examples of an epoch: a fraction `prob` of the utterances is concatenated to pairs of at most `max_seconds`,
    drawn anew for each epoch. Each utterance occurs once. If no speakers are known, all count as one.

    A decoder that memorises a few hundred texts gets each of them in ever new contexts. The audio must be in memory.
    """
    generator = torch.Generator().manual_seed(derive_seed("join", seed, epoch))
    order = torch.randperm(len(dataset), generator=generator).tolist()
    chosen = (torch.rand(len(dataset), generator=generator) < prob).tolist()
    speakers: dict[str, list[Example]] = defaultdict(list)
    found: list[Example] = []
    for number in order:
        item = dataset.examples[number]
        (speakers[item.utterance.speaker] if chosen[number] else found).append(item)
    for items in speakers.values():
        for first, second in zip(items[::2], items[1::2], strict=False):
            seconds = first.utterance.seconds + second.utterance.seconds
            spare = first.spare_frames + second.spare_frames  # CTC needs one for the space between
            fits = seconds <= max_seconds and spare > 0
            pair = _concat_pair(first, second, tokenizer) if fits else None
            if pair and isinstance(check_token_count(pair, dataset.max_tokens), Example):
                found.append(pair)
            else:
                found += [first, second]
        found += items[len(items) // 2 * 2 :]
    return InMemoryDataset(found, dataset.rate, dataset.max_tokens)


def _concat_pair(first: Example, second: Example, tokenizer: Tokenizer) -> Example | None:
    """None if the tokenizer, of a model to fine-tune, does not know the space between the texts."""
    assert first.wave is not None
    assert second.wave is not None
    a, b = first.utterance, second.utterance
    text = join_texts(a.text, b.text)
    both = Utterance(f"{a.id}+{b.id}", a.audio, text, a.seconds + b.seconds, a.speaker)
    try:
        tokens = tokenizer.encode(text)
    except TextError:
        return None
    return Example(both, tuple(tokens), wave=np.concatenate([first.wave, second.wave]))
