"""Datasets of training utterances: in memory, or streaming from a manifest or from shards."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol, overload

import numpy as np
from numpy.typing import NDArray

from asrattn import audio, forced_alignment
from asrattn.audio.interface import Wave
from asrattn.data.lazy_manifest import LazyManifest
from asrattn.data.manifest import Utterance
from asrattn.data.shards import ShardReader, Shards
from asrattn.errors import AudioError, ManifestError, TextError
from asrattn.text import Spelling, Tokenizer
from asrattn.training.recipe import DataConfig

FRAME_TABLE_STEP_SECONDS = 0.01  # resolution of the table from audio length to encoder frames
MAX_LABELS_PER_FRAME = (
    2  # CTC labels for an encoder frame of what a decoder can learn from: 50 letters a second
)
_MAX_SAMPLED_SHARDS = 8  # from which `sample_indices` draws


class DroppedUtterance(NamedTuple):
    """A dropped training utterance, the reason (one of a few, for counting), and the detail."""

    id: str
    reason: str
    detail: str


@dataclass(frozen=True)
class Example:
    """An utterance with its tokens, the speed stretch of this epoch, and its samples (S,) if they are in memory.

    spare_frames: encoder frames beyond those that CTC needs; below 0 CTC cannot learn from it, the decoder can.
    """

    utterance: Utterance
    tokens: tuple[int, ...] = ()
    stretch: float = 1.0
    spare_frames: int = 0
    wave: Wave | None = field(default=None, repr=False, compare=False)


LoadResult = Example | DroppedUtterance
ReadExample = Callable[[int], LoadResult]  # the example of a number, with its wave


class SpeechDataset(Protocol):
    """Utterances with the numbers 0 … n - 1.

    seconds   (n,) length of each
    starts    (shards + 1,) the first number of each shard; None with random access
    """

    @property
    def seconds(self) -> NDArray[Any]: ...
    @property
    def starts(self) -> NDArray[Any] | None: ...
    def __len__(self) -> int: ...

    def token_count(self, number: int) -> int:
        """The number of its tokens, without reading audio; 0 if the text is bad or has unknown characters."""

    def sample_indices(self, count: int) -> list[int]:
        """About `count` numbers, ascending, spread evenly as far as that is cheap to read."""

    def reader(self, wanted: NDArray[Any]) -> ReadExample:
        """A function that reads each wanted number once; in the order of shards it holds few shards in memory."""


@dataclass(frozen=True)
class InMemoryDataset(Sequence[Example]):
    """Examples in a list; waves in memory too, or read from their files.

    max_tokens: the most that the decoder has positions for; None is no limit.
    """

    examples: list[Example]
    rate: int
    max_tokens: int | None = None
    starts: None = None

    @cached_property
    def seconds(self) -> NDArray[np.float64]:
        return np.array([i.utterance.seconds for i in self.examples])

    def __len__(self) -> int:
        return len(self.examples)

    @overload
    def __getitem__(self, number: int) -> Example: ...
    @overload
    def __getitem__(self, number: slice) -> list[Example]: ...
    def __getitem__(self, number: int | slice) -> Example | list[Example]:
        return self.examples[number]

    def sample_indices(self, count: int) -> list[int]:
        return list(range(0, len(self), max(1, len(self) // count)))

    def token_count(self, number: int) -> int:
        return len(self.examples[number].tokens)

    def reader(self, wanted: NDArray[Any]) -> ReadExample:
        return self.read

    def read(self, number: int) -> Example:
        """Raises AudioError."""
        item = self.examples[number]
        return item if item.wave is not None else replace(item, wave=read_wave(item.utterance, self.rate))


@dataclass(frozen=True)
class ExampleBuilder:
    """Builds an example from an utterance and its wave, or a reason to drop it.

    spelling the CTC labels of the tokens; None without CTC
    frames   encoder frames by length in units of FRAME_TABLE_STEP_SECONDS, (0,) without the CTC check
    max_tokens    the most that the decoder has positions for; None is no limit
    labels_per_frame   the most CTC labels for an encoder frame, see `check_ctc_length`
    transcribed   False ignores the text: no example has tokens
    """

    config: DataConfig
    rate: int
    tokenizer: Tokenizer
    spelling: Spelling | None = field(default=Spelling(), repr=False, compare=False)
    frames: NDArray[np.int64] = field(
        default_factory=lambda: np.zeros(0, np.int64), repr=False, compare=False
    )
    transcribed: bool = True
    max_tokens: int | None = None
    labels_per_frame: int = 1

    def __call__(self, utterance: Utterance, wave: Wave) -> LoadResult:
        seconds = len(wave) / self.rate
        item = Example(replace(utterance, seconds=seconds), wave=wave)
        found: LoadResult = check_transcript(item) if self.transcribed else item
        if isinstance(found, Example):
            found = check_duration(found, self.config)
        if isinstance(found, Example) and self.transcribed:
            found = add_tokens(found, self.tokenizer)
        if isinstance(found, Example):
            found = check_token_count(found, self.max_tokens)
        if isinstance(found, Example) and len(self.frames):
            available = int(self.frames[int(seconds / FRAME_TABLE_STEP_SECONDS)])
            found = check_ctc_length(found, available, self.spelling, self.labels_per_frame)
        return found


@dataclass(frozen=True)
class StreamingDataset:
    """Streaming dataset: utterances of a manifest or shards, read, tokenised and checked on demand.

    usable   (n,) numbers in the store of the utterances whose lengths in the manifest are allowed
    """

    store: LazyManifest | Shards
    usable: NDArray[np.int64]
    builder: ExampleBuilder

    @cached_property
    def seconds(self) -> NDArray[np.float32]:
        found: NDArray[np.float32] = self.store.seconds[self.usable]
        return found

    @cached_property
    def starts(self) -> NDArray[np.int64] | None:
        return (
            None if isinstance(self.store, LazyManifest) else np.searchsorted(self.usable, self.store.starts)
        )

    def __len__(self) -> int:
        return len(self.usable)

    def token_count(self, number: int) -> int:
        if not self.builder.transcribed:
            return 0
        try:
            return len(self.builder.tokenizer.encode(self.store[int(self.usable[number])].text))
        except (ManifestError, TextError):
            return 0

    def sample_indices(self, count: int) -> list[int]:
        if self.starts is None:
            return list(range(0, len(self), max(1, len(self) // count)))
        shards = range(0, len(self.starts) - 1, -(-(len(self.starts) - 1) // _MAX_SAMPLED_SHARDS))
        numbers = (range(*self.starts[shard : shard + 2].tolist()) for shard in shards)
        return list(itertools.chain.from_iterable(n[: -(-count // len(shards))] for n in numbers))

    def reader(self, wanted: NDArray[Any]) -> ReadExample:
        if isinstance(self.store, LazyManifest):
            return self._read_line
        mask = np.zeros(len(self.store.seconds), bool)
        mask[self.usable[wanted]] = True
        archives = ShardReader(self.store, mask)
        return lambda number: self._read_member(archives, int(self.usable[number]))

    def _read_line(self, number: int) -> LoadResult:
        line = int(self.usable[number])
        try:
            utterance = self.store[line]
        except ManifestError as error:
            return DroppedUtterance(f"line {line + 1}", "manifest", str(error))
        try:
            return self.builder(utterance, read_wave(utterance, self.builder.rate))
        except AudioError as error:
            return DroppedUtterance(utterance.id, "audio", str(error))

    def _read_member(self, archives: ShardReader, number: int) -> LoadResult:
        try:
            utterance, data = archives.read(number)
            wave = audio.read(Path(utterance.audio), self.builder.rate, data=data)
        except AudioError as error:
            shard, line = archives.shards.locate(number)
            return DroppedUtterance(f"{archives.shards.paths[shard].stem}:{line + 1}", "audio", str(error))
        return self.builder(utterance, wave)


def read_wave(utterance: Utterance, rate: int) -> Wave:
    """The samples (S,) of an utterance. Raises AudioError."""
    seconds = None if utterance.start is None else utterance.seconds
    return audio.read(Path(utterance.audio), rate, utterance.start, seconds)


def check_transcript(item: Example) -> LoadResult:
    """The example, dropped if it has no text."""
    utterance = item.utterance
    return (
        item
        if utterance.text.strip()
        else DroppedUtterance(utterance.id, "empty transcript", utterance.audio)
    )


def check_duration(item: Example, config: DataConfig) -> LoadResult:
    """The example, dropped if it is shorter or longer than configured."""
    id_, seconds = item.utterance.id, item.utterance.seconds
    if seconds < config.min_seconds:
        return DroppedUtterance(id_, "too short", f"{seconds:.3f} s, below {config.min_seconds:g} s")
    if seconds > config.max_seconds:
        return DroppedUtterance(id_, "too long", f"{seconds:.1f} s, above {config.max_seconds:g} s")
    return item


def add_tokens(item: Example, tokenizer: Tokenizer) -> LoadResult:
    """The example with its tokens, dropped if it has unknown characters."""
    try:
        return replace(item, tokens=tuple(tokenizer.encode(item.utterance.text)))
    except TextError as error:
        return DroppedUtterance(item.utterance.id, "unknown characters", str(error))


def check_token_count(item: Example, max_tokens: int | None) -> LoadResult:
    """The example, dropped with more tokens than the decoder has positions for."""
    if max_tokens is None or len(item.tokens) <= max_tokens:
        return item
    detail = f"{len(item.tokens)} tokens, the decoder takes {max_tokens}; split the recording"
    return DroppedUtterance(item.utterance.id, "too many tokens", detail)


def check_ctc_length(
    item: Example, frames: int, spelling: Spelling | None, labels_per_frame: int = 1
) -> LoadResult:
    """The example, dropped with too few encoder frames for CTC: one per label, one more between two equal ones; without
    a spelling (there is no CTC) with no frame at all.

    labels_per_frame: above 1 for a model with a decoder, which learns from what CTC cannot align; a text of yet more
    labels is not what is spoken.
    """
    needed = forced_alignment.min_ctc_frames(spelling.spell(item.tokens)[0]) if spelling else 0
    if frames and needed <= labels_per_frame * frames:
        return replace(item, spare_frames=frames - needed)
    if not frames and not needed:
        return DroppedUtterance(item.utterance.id, "too short", "not a single encoder frame")
    detail = (
        f"{frames} encoder frames for {needed} CTC labels; a wrong transcript or very fast speech. If many are "
        "dropped, frames are too long for this corpus: set model.encoder.factor=2 or a lower model.frontend.hop"
    )
    return DroppedUtterance(item.utterance.id, "too short for CTC", detail)


def partition_dropped(outcomes: Iterable[LoadResult]) -> tuple[list[Example], list[DroppedUtterance]]:
    """The examples, and the dropped utterances."""
    found = list(outcomes)
    return [o for o in found if isinstance(o, Example)], [o for o in found if isinstance(o, DroppedUtterance)]
