"""Utterances of one speaker put one after the other: longer ones, and sequences of words that nobody has read."""

from collections import defaultdict

import numpy as np
import torch

from asrattn.manifest import Utterance
from asrattn.text import Tokenizer
from asrattn.training.batches import seed_of
from asrattn.training.sources import Item, Kept


def join(kept: Kept, tokenizer: Tokenizer, share: float, most: float, seed: int, epoch: int) -> Kept:
    """Those of an epoch: about this share of the utterances stands in pairs, drawn anew for each epoch, of at most so
    many seconds. Each utterance is there once. Where no speakers are known, all count as one.

    A decoder that learns a few hundred texts by heart hears each of them in ever new company.
    The audio must be in memory.
    """
    generator = torch.Generator().manual_seed(seed_of("join", seed, epoch))
    order = torch.randperm(len(kept), generator=generator).tolist()
    chosen = (torch.rand(len(kept), generator=generator) < share).tolist()
    speakers: dict[str, list[Item]] = defaultdict(list)
    found: list[Item] = []
    for number in order:
        item = kept.items[number]
        (speakers[item.utterance.speaker] if chosen[number] else found).append(item)
    for items in speakers.values():
        for first, second in zip(items[::2], items[1::2], strict=False):
            seconds = first.utterance.seconds + second.utterance.seconds
            fits = (
                seconds <= most and first.spare + second.spare > 0
            )  # CTC needs a frame for the space between
            found += [_joined(first, second, tokenizer)] if fits else [first, second]
        found += items[len(items) // 2 * 2 :]
    return Kept(found, kept.rate)


def _joined(first: Item, second: Item, tokenizer: Tokenizer) -> Item:
    assert first.wave is not None
    assert second.wave is not None
    a, b = first.utterance, second.utterance
    both = Utterance(f"{a.id}+{b.id}", a.audio, f"{a.text} {b.text}", a.seconds + b.seconds, a.speaker)
    wave = np.concatenate([first.wave, second.wave])
    return Item(both, tuple(tokenizer.encode(both.text)), wave=wave)
