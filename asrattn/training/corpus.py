"""A corpus for training: read, checked and tokenised; what cannot serve is told."""

import itertools
import logging
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import torch
from lightning.fabric.utilities.rank_zero import rank_zero_only

from asrattn import audio, manifest, text
from asrattn.audio.sound import Wave
from asrattn.errors import AudioError, DataError, TextError
from asrattn.manifest import Utterance
from asrattn.model import SpeechModel
from asrattn.text import Tokenizer
from asrattn.training.recipe import DataConfig
from asrattn.training.vocabulary import extend

log = logging.getLogger(__name__)

BYTES = 4  # of a sample in memory


class Dropped(NamedTuple):
    """A training utterance left out, why (one of a few words, for counting), and what exactly."""

    id: str
    reason: str
    detail: str


@dataclass(frozen=True)
class Item:
    """An utterance with its tokens, the stretch of this epoch, and its samples (S,) where they are kept in memory."""

    utterance: Utterance
    tokens: tuple[int, ...] = ()
    stretch: float = 1.0
    wave: Wave | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Corpus:
    """What is trained on and judged on, all of it checked."""

    train: list[Item]
    dev: list[Item]
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
    """train.jsonl and dev.jsonl of a folder. Training utterances that cannot serve are dropped and listed; dev
    utterances never are, since the references say what is counted.

    The tokenizer is trained on the train texts unless one is given; one that is `known`, from a model to go on from,
    is extended. Audio is decoded once, and kept where the whole
    corpus fits into `config.cache`. Raises DataError where dev holds what cannot be read, or nothing is left to
    train on; ManifestError for a bad manifest.
    """
    train, dev = (manifest.read(folder / f"{split}.jsonl") for split in ("train", "dev"))
    seconds = sum(u.seconds for u in (*train, *dev))
    keep = seconds * rate * BYTES <= config.cache * 1e9
    kept, dropped = _readable(train, config, rate, keep)
    judged, broken = _opened(dev, rate, keep)
    if broken:
        raise DataError(
            f"dev.jsonl: {broken[0].id}: {broken[0].detail}; mend it or take it out ({len(broken)} such)"
        )
    if kept:
        texts = [i.utterance.text for i in kept]
        made = extend(known, config.tokens, texts) if known and not tokenizer else None
        tokenizer = tokenizer or made or text.train(config.tokens, texts)
        kept, unknown = _tokenised(kept, tokenizer)
        dropped += unknown
    _check_left(kept, train, dropped, folder)
    assert tokenizer is not None
    judged = [replace(i, tokens=tuple(tokenizer.encode_lossy(i.utterance.text))) for i in judged]
    return Corpus(kept, judged, dropped, tokenizer)


def fitting(corpus: Corpus, model: SpeechModel, shortest: float) -> Corpus:
    """The corpus without the training utterances whose tokens may not fit the encoder's frames: CTC needs a frame
    for each token and one more between two equal ones. shortest: the factor by which augmentation may shorten.

    Raises DataError where nothing is left, or a dev utterance is too short for the model.
    """
    kept, dropped = [], []
    for item, available in zip(corpus.train, _frames(model, corpus.train, shortest), strict=True):
        needed = len(item.tokens) + sum(a == b for a, b in itertools.pairwise(item.tokens))
        if max(needed, 1) <= available:
            kept.append(item)
        else:
            detail = f"{available} encoder frames for {needed} tokens; a wrong transcript or a hasty speaker"
            dropped.append(Dropped(item.utterance.id, "too short for CTC", detail))
    if not kept:
        raise DataError(
            f"no training utterance is long enough for CTC ({dropped[0].id}: {dropped[0].detail})"
        )
    for item, available in zip(corpus.dev, _frames(model, corpus.dev, 1.0), strict=True):
        if not available:
            seconds = item.utterance.seconds
            raise DataError(
                f"dev.jsonl: {item.utterance.id}: {seconds:.3f} s are too short for the model; take it out"
            )
    return replace(corpus, train=kept, dropped=corpus.dropped + dropped)


def _frames(model: SpeechModel, items: list[Item], factor: float) -> list[int]:
    """Encoder frames of each, shortened by the factor."""
    samples = torch.tensor([int(i.utterance.seconds * model.config.frontend.rate) for i in items])
    frames: list[int] = model.encoder.lens((model.frontend.lens(samples) * factor).long()).tolist()
    return frames


def report(corpus: Corpus, path: Path) -> None:
    """Log what was dropped, by reason, and list each in a tab-separated file."""
    hours = sum(i.utterance.seconds for i in corpus.train) / 3600
    log.info("train: %d utterances, %.2f h; dev: %d utterances", len(corpus.train), hours, len(corpus.dev))
    lines = ["id\treason\tdetail", *("\t".join(d) for d in corpus.dropped)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    for reason, count in Counter(d.reason for d in corpus.dropped).most_common():
        first = next(d for d in corpus.dropped if d.reason == reason)
        log.warning("dropped %d: %s (the first: %s: %s)", count, reason, first.id, first.detail)


def read(utterance: Utterance, rate: int) -> Wave:
    """The samples (S,) of an utterance. Raises AudioError."""
    seconds = None if utterance.start is None else utterance.seconds
    return audio.read(Path(utterance.audio), rate, utterance.start, seconds)


def _readable(
    utterances: list[Utterance], config: DataConfig, rate: int, keep: bool
) -> tuple[list[Item], list[Dropped]]:
    """The training utterances with a text, readable audio and a length within bounds."""
    spoken = [u for u in utterances if u.text.strip()]
    dropped = [Dropped(u.id, "empty transcript", u.audio) for u in utterances if not u.text.strip()]
    items, broken = _opened(spoken, rate, keep)
    kept = []
    for item in items:
        seconds = item.utterance.seconds
        if seconds < config.min_seconds:
            dropped.append(
                Dropped(item.utterance.id, "too short", f"{seconds:.3f} s, below {config.min_seconds:g} s")
            )
        elif seconds > config.max_seconds:
            dropped.append(
                Dropped(item.utterance.id, "too long", f"{seconds:.1f} s, above {config.max_seconds:g} s")
            )
        else:
            kept.append(item)
    return kept, dropped + broken


def _opened(utterances: list[Utterance], rate: int, keep: bool) -> tuple[list[Item], list[Dropped]]:
    """Items with their true lengths: decoded (and kept) where memory allows, else judged by their headers."""

    def one(utterance: Utterance) -> Item | Dropped:
        try:
            return _decoded(utterance, rate) if keep else _measured(utterance)
        except AudioError as error:
            return Dropped(utterance.id, "audio", str(error))

    outcomes = list(_parallel(one, utterances))
    return [o for o in outcomes if isinstance(o, Item)], [o for o in outcomes if isinstance(o, Dropped)]


def _decoded(utterance: Utterance, rate: int) -> Item:
    wave = read(utterance, rate)
    return Item(_with_seconds(utterance, len(wave) / rate), wave=wave)


def _measured(utterance: Utterance) -> Item:
    found = audio.info(Path(utterance.audio)).seconds
    return Item(utterance if utterance.start is not None else _with_seconds(utterance, found))


def _with_seconds(utterance: Utterance, seconds: float) -> Utterance:
    return replace(utterance, seconds=seconds)


def _parallel(
    work: Callable[[Utterance], Item | Dropped], utterances: list[Utterance]
) -> Iterable[Item | Dropped]:
    """In threads, since decoding does not hold Python's lock; with a bar where there is a terminal."""
    from tqdm import tqdm

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        outcomes = pool.map(work, utterances)
        yield from tqdm(
            outcomes,
            "reading audio",
            len(utterances),
            leave=False,
            disable=not (first_process() and sys.stderr.isatty()),
            unit="files",
        )


def _tokenised(items: list[Item], tokenizer: Tokenizer) -> tuple[list[Item], list[Dropped]]:
    kept, dropped = [], []
    for item in items:
        try:
            tokens = tuple(tokenizer.encode(item.utterance.text))
        except TextError as error:
            dropped.append(Dropped(item.utterance.id, "unknown characters", str(error)))
            continue
        kept.append(replace(item, tokens=tokens))
    return kept, dropped


def _check_left(kept: list[Item], train: list[Utterance], dropped: list[Dropped], folder: Path) -> None:
    if not kept:
        reasons = ", ".join(f"{n} {reason}" for reason, n in Counter(d.reason for d in dropped).most_common())
        raise DataError(
            f"{folder / 'train.jsonl'}: none of {len(train)} utterances can be trained on ({reasons}; "
            f"the first: {dropped[0].id}: {dropped[0].detail})"
        )
