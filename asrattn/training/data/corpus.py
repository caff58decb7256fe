"""Corpus loading for training: read, check and tokenise; dropped utterances are reported."""

import contextlib
import logging
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sized
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from asrattn import audio, text
from asrattn.cpu_count import usable_cpus
from asrattn.data import manifest
from asrattn.data.lazy_manifest import LazyManifest
from asrattn.data.manifest import Utterance
from asrattn.data.shards import Shards
from asrattn.errors import AudioError, DataError, ManifestError
from asrattn.model import LossConfig
from asrattn.model.speech_model import SpeechModel
from asrattn.text import Tokenizer, clean, join_texts
from asrattn.training import distributed
from asrattn.training.data import folder as data_folder
from asrattn.training.data.dataset import (
    FRAME_TABLE_STEP_SECONDS,
    MAX_LABELS_PER_FRAME,
    DroppedUtterance,
    Example,
    ExampleBuilder,
    InMemoryDataset,
    LoadResult,
    SpeechDataset,
    StreamingDataset,
    add_tokens,
    check_ctc_length,
    check_duration,
    check_token_count,
    check_transcript,
    partition_dropped,
    read_wave,
)
from asrattn.training.recipe import DataConfig
from asrattn.training.vocabulary import extend_tokenizer

log = logging.getLogger(__name__)

BYTES_PER_SAMPLE = 4  # float32
MAX_TEXTS = 500_000  # that a tokenizer is trained on, if the corpus is not in memory


@dataclass(frozen=True)
class Corpus:
    """Training and dev utterances, the dropped ones, and the tokenizer."""

    train: SpeechDataset
    dev: InMemoryDataset
    dropped: list[DroppedUtterance]
    tokenizer: Tokenizer


def load(
    folder: Path,
    config: DataConfig,
    rate: int,
    tokenizer: Tokenizer | None = None,
    base_tokenizer: Tokenizer | None = None,
    transcribed: bool = True,
) -> Corpus:
    """The train and dev utterances of a folder: train.jsonl, or shards in train/, and dev.jsonl.

    Unusable training utterances are dropped and listed; dev utterances never are: every reference counts.
    The tokenizer is trained on the train texts unless one is given; `base_tokenizer`, of a model to fine-tune, is
    extended by them. transcribed: False ignores all texts, which may be empty, and needs a `tokenizer`; no example has
    tokens then. Audio is decoded once and kept if the whole corpus fits into `config.cache`. Otherwise, and from
    shards, it is read and checked when it is needed, and dropped utterances are reported then.

    Raises DataError if a dev utterance cannot be read, or none is left to train on; ManifestError for a bad manifest.
    """
    source, store = data_folder.open_train(folder)
    dev = manifest.read(folder / data_folder.DEV)
    room = config.cache * 1e9 / BYTES_PER_SAMPLE / rate - sum(u.seconds for u in dev)
    dev_examples, broken = partition_dropped(_open_audio(dev, rate, keep=room >= 0))
    if broken:
        raise DataError(
            f"dev.jsonl: {broken[0].id}: {broken[0].detail}; mend it or take it out ({len(broken)} such)"
        )

    def learn(found: Iterable[str]) -> Tokenizer:
        if tokenizer:
            return tokenizer
        texts = vocabulary_texts(found, config)
        return (
            extend_tokenizer(base_tokenizer, config.tokens, texts)
            if base_tokenizer
            else text.train(config.tokens, texts)
        )

    whole = isinstance(store, LazyManifest) and store.seconds.sum(dtype=float) <= room
    train, dropped, learnt = (_load_in_memory if whole else _load_streaming)(
        source, store, config, rate, learn, transcribed
    )
    if transcribed:
        dev_examples = [replace(i, tokens=tuple(learnt.encode_lossy(i.utterance.text))) for i in dev_examples]
    return Corpus(train, InMemoryDataset(dev_examples, rate), dropped, learnt)


def vocabulary_texts(texts: Iterable[str], config: DataConfig) -> list[str]:
    """The texts to train a tokenizer on. Where utterances are concatenated it must know the space between them, though
    each of the texts may be a single word."""
    found = list(texts)
    if config.concat_prob and not any(" " in clean(text) for text in found):
        pair = next((joined for text in found if " " in (joined := join_texts(text, text))), None)
        found += [pair] if pair else []
    return found


TrainTokenizer = Callable[[Iterable[str]], Tokenizer]


def _load_in_memory(
    source: Path,
    store: LazyManifest | Shards,
    config: DataConfig,
    rate: int,
    learn: TrainTokenizer,
    transcribed: bool,
) -> tuple[SpeechDataset, list[DroppedUtterance], Tokenizer]:
    """The whole corpus in memory: read, checked and tokenised."""
    examples = (Example(u) for u in manifest.read(source))
    items, dropped = partition_dropped(check_transcript(e) if transcribed else e for e in examples)
    items, broken = partition_dropped(_open_audio([i.utterance for i in items], rate, keep=True))
    items, outside = partition_dropped(check_duration(i, config) for i in items)
    dropped += outside + broken
    _check_not_empty(items, dropped, source)
    tokenizer = learn(i.utterance.text for i in items)
    if transcribed:
        items, unknown = partition_dropped(add_tokens(i, tokenizer) for i in items)
        dropped += unknown
    _check_not_empty(items, dropped, source)
    return InMemoryDataset(items, rate), dropped, tokenizer


def _load_streaming(
    source: Path,
    store: LazyManifest | Shards,
    config: DataConfig,
    rate: int,
    learn: TrainTokenizer,
    transcribed: bool,
) -> tuple[SpeechDataset, list[DroppedUtterance], Tokenizer]:
    """Only the lengths in the manifest are checked; texts are read to train the tokenizer."""
    seconds = np.asarray(store.seconds)
    bad = (seconds < config.min_seconds) | (seconds > config.max_seconds)
    _, dropped = partition_dropped(
        check_duration(Example(store[i]), config) for i in np.flatnonzero(bad).tolist()
    )
    usable = np.flatnonzero(~bad)
    _check_not_empty(usable, dropped, source)
    tokenizer = learn(_texts(store, usable[:: -(-len(usable) // MAX_TEXTS)]))
    log.info("%s: larger than the cache, or in shards: read and checked during training", source)
    builder = ExampleBuilder(config, rate, tokenizer, transcribed=transcribed)
    return StreamingDataset(store, usable, builder), dropped, tokenizer


def _texts(store: LazyManifest | Shards, numbers: NDArray[np.int64]) -> Iterator[str]:
    for i in numbers.tolist():
        with contextlib.suppress(ManifestError):  # a bad line is reported when it is read
            yield store[i].text


CTC_ALONE = LossConfig(ctc=1.0)


def filter_by_length(
    corpus: Corpus, model: SpeechModel, min_stretch: float, loss: LossConfig = CTC_ALONE
) -> Corpus:
    """The corpus without training utterances that have too few encoder frames for CTC, or more tokens than the decoder
    takes. min_stretch: the factor by which augmentation may shorten.

    A streaming corpus drops them when it reads them. Raises DataError if nothing is left, or a dev utterance does not
    fit the model.
    """
    most, spelling = model.decoder.max_tokens, model.spelling if loss.ctc else None
    labels_per_frame = max_labels_per_frame(loss)
    _check_dev(corpus.dev, model, most)
    train = corpus.train
    if isinstance(train, StreamingDataset):
        lengths = np.arange(0, train.builder.config.max_seconds + 1, FRAME_TABLE_STEP_SECONDS)
        frames = np.array(encoder_frames(model, lengths, min_stretch))
        rules = replace(
            train.builder,
            spelling=spelling,
            frames=frames,
            max_tokens=most,
            labels_per_frame=labels_per_frame,
        )
        return replace(corpus, train=replace(train, builder=rules))
    assert isinstance(train, InMemoryDataset)
    items, dropped = partition_dropped(check_token_count(item, most) for item in train)
    seconds = np.array([item.utterance.seconds for item in items])
    pairs = zip(items, encoder_frames(model, seconds, min_stretch), strict=True)
    items, shorter = partition_dropped(
        check_ctc_length(item, available, spelling, labels_per_frame) for item, available in pairs
    )
    dropped += shorter
    if not items:
        raise DataError(
            f"no training utterance fits the model ({dropped[0].id}: {dropped[0].reason}: {dropped[0].detail})"
        )
    fitting = replace(train, examples=items, max_tokens=most)
    return replace(corpus, train=fitting, dropped=corpus.dropped + dropped)


def _check_dev(dev: InMemoryDataset, model: SpeechModel, max_tokens: int | None) -> None:
    for item, available in zip(dev, encoder_frames(model, dev.seconds, 1.0), strict=True):
        if not available:
            seconds = item.utterance.seconds
            raise DataError(
                f"dev.jsonl: {item.utterance.id}: {seconds:.3f} s are too short for the model; take it out"
            )
        found = check_token_count(item, max_tokens)
        if isinstance(found, DroppedUtterance):
            raise DataError(f"dev.jsonl: {found.id}: {found.reason}: {found.detail}, or take it out")


def encoder_frames(model: SpeechModel, seconds: NDArray[Any], factor: float) -> list[int]:
    """Encoder frames of each length, shortened by the factor."""
    samples = torch.tensor([int(s * model.config.frontend.rate) for s in seconds.tolist()])
    frames: list[int] = model.encoder.lens((model.frontend.lens(samples) * factor).long()).tolist()
    return frames


def max_labels_per_frame(loss: LossConfig) -> int:
    """How many CTC labels an encoder frame may have: one where nothing but CTC is trained."""
    return MAX_LABELS_PER_FRAME if loss.ctc < 1 else 1


def count_without_ctc(dataset: SpeechDataset) -> int:
    """The utterances that have too few encoder frames for CTC, so that the decoder alone learns from them."""
    return sum(e.spare_frames < 0 for e in dataset) if isinstance(dataset, InMemoryDataset) else 0


def report_dropped(corpus: Corpus, path: Path) -> None:
    """Log what was dropped, by reason, and list each in a tab-separated file."""
    hours = corpus.train.seconds.sum(dtype=float) / 3600
    log.info("train: %d utterances, %.2f h; dev: %d utterances", len(corpus.train), hours, len(corpus.dev))
    lines = ["id\treason\tdetail", *("\t".join(d) for d in corpus.dropped)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    if count := count_without_ctc(corpus.train):
        log.warning(
            "%d utterances have too few encoder frames for CTC, the decoder alone learns from them: %s",
            count,
            "for more frames set model.encoder.factor=2 or a lower model.frontend.hop",
        )
    for reason, count in Counter(d.reason for d in corpus.dropped).most_common():
        first = next(d for d in corpus.dropped if d.reason == reason)
        log.warning("dropped %d: %s (the first: %s: %s)", count, reason, first.id, first.detail)


def _open_audio(utterances: list[Utterance], rate: int, keep: bool) -> Iterable[LoadResult]:
    """Examples with their true lengths: decoded and kept, or else (`keep` is False) read from the headers.

    In threads, since decoding releases the GIL; with a progress bar on a terminal.
    """
    from tqdm import tqdm

    def one(utterance: Utterance) -> LoadResult:
        try:
            return _decoded(utterance, rate) if keep else _from_header(utterance)
        except AudioError as error:
            return DroppedUtterance(utterance.id, "audio", str(error))

    with ThreadPoolExecutor(min(8, usable_cpus())) as pool:
        yield from tqdm(
            pool.map(one, utterances),
            "reading audio",
            len(utterances),
            leave=False,
            disable=not (distributed.is_rank_zero() and sys.stderr.isatty()),
            unit="files",
        )


def _decoded(utterance: Utterance, rate: int) -> Example:
    wave = read_wave(utterance, rate)
    return Example(replace(utterance, seconds=len(wave) / rate), wave=wave)


def _from_header(utterance: Utterance) -> Example:
    found = audio.info(Path(utterance.audio)).seconds
    return Example(utterance if utterance.start is not None else replace(utterance, seconds=found))


def _check_not_empty(kept: Sized, dropped: list[DroppedUtterance], source: Path) -> None:
    if not len(kept):
        reasons = ", ".join(f"{n} {reason}" for reason, n in Counter(d.reason for d in dropped).most_common())
        raise DataError(
            f"{source}: none of {len(dropped)} utterances can be trained on ({reasons}; "
            f"the first: {dropped[0].id}: {dropped[0].detail})"
        )
