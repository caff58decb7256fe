"""A corpus for training: read, checked and tokenised; what cannot serve is told."""

import contextlib
import logging
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sized
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.fabric.utilities.rank_zero import rank_zero_only
from numpy.typing import NDArray

from asrattn import audio, manifest, text
from asrattn.errors import AudioError, DataError, ManifestError
from asrattn.lines import Lines
from asrattn.manifest import Utterance
from asrattn.model.speech_model import SpeechModel
from asrattn.shards import Shards
from asrattn.text import Tokenizer
from asrattn.training import data_folder
from asrattn.training.recipe import DataConfig
from asrattn.training.sources import (
    GRAIN,
    Dropped,
    Item,
    Kept,
    Outcome,
    Rules,
    Source,
    Streamed,
    fitted,
    parted,
    read,
    spoken,
    tokenised,
    within,
)
from asrattn.training.vocabulary import extend

log = logging.getLogger(__name__)

BYTES = 4  # of a sample in memory
TEXTS = 500_000  # most texts that a tokenizer learns from, where they are not in memory


@dataclass(frozen=True)
class Corpus:
    """What is trained on and judged on."""

    train: Source
    dev: Kept
    dropped: list[Dropped]
    tokenizer: Tokenizer


def first_process() -> bool:
    """Also before the trainer runs: the environment says which process this is."""
    return getattr(rank_zero_only, "rank", 0) == 0


def load(
    folder: Path,
    config: DataConfig,
    rate: int,
    tokenizer: Tokenizer | None = None,
    known: Tokenizer | None = None,
) -> Corpus:
    """The train and dev utterances of a folder: train.jsonl, or shards in train/, and dev.jsonl.

    Training utterances that cannot serve are dropped and listed; dev utterances never are, since the references say
    what is counted. The tokenizer is trained on the train texts unless one is given; one that is `known`, from a model
    to go on from, is extended by them. Audio is decoded once, and kept, where the whole corpus fits into
    `config.cache`. Otherwise, and from shards, it is read and checked when it is needed; what is dropped then is told
    then.

    Raises DataError where dev holds what cannot be read, or nothing is left to train on; ManifestError for a bad
    manifest.
    """
    source, store = data_folder.open_train(folder)
    dev = manifest.read(folder / data_folder.DEV)
    room = config.cache * 1e9 / BYTES / rate - sum(u.seconds for u in dev)
    judged, broken = parted(_opened(dev, rate, keep=room >= 0))
    if broken:
        raise DataError(
            f"dev.jsonl: {broken[0].id}: {broken[0].detail}; mend it or take it out ({len(broken)} such)"
        )

    def learn(texts: Iterable[str]) -> Tokenizer:
        if tokenizer:
            return tokenizer
        return extend(known, config.tokens, list(texts)) if known else text.train(config.tokens, list(texts))

    whole = isinstance(store, Lines) and store.seconds.sum(dtype=float) <= room
    train, dropped, learnt = (_kept if whole else _streamed)(source, store, config, rate, learn)
    judged = [replace(i, tokens=tuple(learnt.encode_lossy(i.utterance.text))) for i in judged]
    return Corpus(train, Kept(judged, rate), dropped, learnt)


Learn = Callable[[Iterable[str]], Tokenizer]


def _kept(
    source: Path, store: Lines | Shards, config: DataConfig, rate: int, learn: Learn
) -> tuple[Source, list[Dropped], Tokenizer]:
    """All of it read, checked and tokenised."""
    items, dropped = parted(spoken(Item(u)) for u in manifest.read(source))
    items, broken = parted(_opened([i.utterance for i in items], rate, keep=True))
    items, outside = parted(within(i, config) for i in items)
    dropped += outside + broken
    _check_left(items, dropped, source)
    tokenizer = learn(i.utterance.text for i in items)
    items, unknown = parted(tokenised(i, tokenizer) for i in items)
    dropped += unknown
    _check_left(items, dropped, source)
    return Kept(items, rate), dropped, tokenizer


def _streamed(
    source: Path, store: Lines | Shards, config: DataConfig, rate: int, learn: Learn
) -> tuple[Source, list[Dropped], Tokenizer]:
    """Only the lengths are looked at, as the manifest gives them; and texts, to learn the tokens."""
    seconds = np.asarray(store.seconds)
    bad = (seconds < config.min_seconds) | (seconds > config.max_seconds)
    _, dropped = parted(within(Item(store[i]), config) for i in np.flatnonzero(bad).tolist())
    usable = np.flatnonzero(~bad)
    _check_left(usable, dropped, source)
    tokenizer = learn(_texts(store, usable[:: -(-len(usable) // TEXTS)]))
    log.info("%s: larger than the cache, or in shards: read and checked as it is trained on", source)
    return Streamed(store, usable, Rules(config, rate, tokenizer)), dropped, tokenizer


def _texts(store: Lines | Shards, numbers: NDArray[np.int64]) -> Iterator[str]:
    for i in numbers.tolist():
        with contextlib.suppress(ManifestError):  # a bad line is told when it is its turn
            yield store[i].text


def fitting(corpus: Corpus, model: SpeechModel, shortest: float) -> Corpus:
    """The corpus without the training utterances whose tokens may not fit the encoder's frames.
    shortest: the factor by which augmentation may shorten.

    Of a corpus that is read when it is needed, they are dropped then. Raises DataError where nothing is left, or a dev
    utterance is too short for the model.
    """
    for item, available in zip(corpus.dev, encoder_frames(model, corpus.dev.seconds, 1.0), strict=True):
        if not available:
            seconds = item.utterance.seconds
            raise DataError(
                f"dev.jsonl: {item.utterance.id}: {seconds:.3f} s are too short for the model; take it out"
            )
    train = corpus.train
    if isinstance(train, Streamed):
        lengths = np.arange(0, train.rules.config.max_seconds + 1, GRAIN)
        rules = replace(train.rules, frames=np.array(encoder_frames(model, lengths, shortest)))
        return replace(corpus, train=replace(train, rules=rules))
    assert isinstance(train, Kept)
    pairs = zip(train, encoder_frames(model, train.seconds, shortest), strict=True)
    items, dropped = parted(fitted(item, available) for item, available in pairs)
    if not items:
        raise DataError(
            f"no training utterance is long enough for CTC ({dropped[0].id}: {dropped[0].detail})"
        )
    return replace(corpus, train=replace(train, items=items), dropped=corpus.dropped + dropped)


def encoder_frames(model: SpeechModel, seconds: NDArray[Any], factor: float) -> list[int]:
    """Encoder frames of each length, shortened by the factor."""
    samples = torch.tensor([int(s * model.config.frontend.rate) for s in seconds.tolist()])
    frames: list[int] = model.encoder.lens((model.frontend.lens(samples) * factor).long()).tolist()
    return frames


def report(corpus: Corpus, path: Path) -> None:
    """Log what was dropped, by reason, and list each in a tab-separated file."""
    hours = corpus.train.seconds.sum(dtype=float) / 3600
    log.info("train: %d utterances, %.2f h; dev: %d utterances", len(corpus.train), hours, len(corpus.dev))
    lines = ["id\treason\tdetail", *("\t".join(d) for d in corpus.dropped)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    for reason, count in Counter(d.reason for d in corpus.dropped).most_common():
        first = next(d for d in corpus.dropped if d.reason == reason)
        log.warning("dropped %d: %s (the first: %s: %s)", count, reason, first.id, first.detail)


def _opened(utterances: list[Utterance], rate: int, keep: bool) -> Iterable[Outcome]:
    """Items with their true lengths: decoded (and kept) where memory allows, else judged by their headers.

    In threads, since decoding does not hold Python's lock; with a bar where there is a terminal.
    """
    from tqdm import tqdm

    def one(utterance: Utterance) -> Outcome:
        try:
            return _decoded(utterance, rate) if keep else _measured(utterance)
        except AudioError as error:
            return Dropped(utterance.id, "audio", str(error))

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        yield from tqdm(
            pool.map(one, utterances),
            "reading audio",
            len(utterances),
            leave=False,
            disable=not (first_process() and sys.stderr.isatty()),
            unit="files",
        )


def _decoded(utterance: Utterance, rate: int) -> Item:
    wave = read(utterance, rate)
    return Item(replace(utterance, seconds=len(wave) / rate), wave=wave)


def _measured(utterance: Utterance) -> Item:
    found = audio.info(Path(utterance.audio)).seconds
    return Item(utterance if utterance.start is not None else replace(utterance, seconds=found))


def _check_left(kept: Sized, dropped: list[Dropped], source: Path) -> None:
    if not len(kept):
        reasons = ", ".join(f"{n} {reason}" for reason, n in Counter(d.reason for d in dropped).most_common())
        raise DataError(
            f"{source}: none of {len(dropped)} utterances can be trained on ({reasons}; "
            f"the first: {dropped[0].id}: {dropped[0].detail})"
        )
