"""Training utterances by number: all in memory, or read from a manifest or from shards when they are needed."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol, overload

import numpy as np
from numpy.typing import NDArray

from asrattn import align, audio
from asrattn.audio.sound import Wave
from asrattn.errors import AudioError, ManifestError, TextError
from asrattn.lines import Lines
from asrattn.manifest import Utterance
from asrattn.shards import Reader, Shards
from asrattn.text import Tokenizer
from asrattn.training.recipe import DataConfig

GRAIN = 0.01  # seconds: of the table that says how many frames a sound has
_SPREAD = 8  # shards from which a sample is taken


class Dropped(NamedTuple):
    """A training utterance left out, why (one of a few words, for counting), and what exactly."""

    id: str
    reason: str
    detail: str


@dataclass(frozen=True)
class Item:
    """An utterance with its tokens, the stretch of this epoch, and its samples (S,) where they are in memory.

    spare: encoder frames beyond those that CTC needs.
    """

    utterance: Utterance
    tokens: tuple[int, ...] = ()
    stretch: float = 1.0
    spare: int = 0
    wave: Wave | None = field(default=None, repr=False, compare=False)


Outcome = Item | Dropped
Read = Callable[[int], Outcome]  # the item of a number, with its wave


class Source(Protocol):
    """Utterances with the numbers 0 … n - 1.

    seconds   (n,) how long each lasts
    starts    (shards + 1,) the first number of each shard; None where any utterance can be read at any time
    """

    @property
    def seconds(self) -> NDArray[Any]: ...
    @property
    def starts(self) -> NDArray[Any] | None: ...
    def __len__(self) -> int: ...

    def count(self, number: int) -> int:
        """Of its tokens, without reading the sound; 0 where it has none, or no known ones."""

    def sample(self, count: int) -> list[int]:
        """About so many numbers, ascending, evenly spread as far as that is cheap to read."""

    def reader(self, wanted: NDArray[Any]) -> Read:
        """What reads the wanted numbers, each once; from shards those asked for one after the other come from few."""


@dataclass(frozen=True)
class Kept(Sequence[Item]):
    """Items in a list, their waves too, or read from their files where they are not."""

    items: list[Item]
    rate: int
    starts: None = None

    @cached_property
    def seconds(self) -> NDArray[np.float64]:
        return np.array([i.utterance.seconds for i in self.items])

    def __len__(self) -> int:
        return len(self.items)

    @overload
    def __getitem__(self, number: int) -> Item: ...
    @overload
    def __getitem__(self, number: slice) -> list[Item]: ...
    def __getitem__(self, number: int | slice) -> Item | list[Item]:
        return self.items[number]

    def sample(self, count: int) -> list[int]:
        return list(range(0, len(self), max(1, len(self) // count)))

    def count(self, number: int) -> int:
        return len(self.items[number].tokens)

    def reader(self, wanted: NDArray[Any]) -> Read:
        return self.read

    def read(self, number: int) -> Item:
        """Raises AudioError."""
        item = self.items[number]
        return item if item.wave is not None else replace(item, wave=read(item.utterance, self.rate))


@dataclass(frozen=True)
class Rules:
    """What makes an utterance and its wave an item, or a reason to drop it.

    frames   encoder frames by length in units of GRAIN, (0,) where that does not matter
    """

    config: DataConfig
    rate: int
    tokenizer: Tokenizer
    frames: NDArray[np.int64] = field(
        default_factory=lambda: np.zeros(0, np.int64), repr=False, compare=False
    )

    def __call__(self, utterance: Utterance, wave: Wave) -> Outcome:
        seconds = len(wave) / self.rate
        found = spoken(Item(replace(utterance, seconds=seconds), wave=wave))
        if isinstance(found, Item):
            found = within(found, self.config)
        if isinstance(found, Item):
            found = tokenised(found, self.tokenizer)
        if isinstance(found, Item) and len(self.frames):
            found = fitted(found, int(self.frames[int(seconds / GRAIN)]))
        return found


@dataclass(frozen=True)
class Streamed:
    """Utterances of a manifest or of shards, read, tokenised and checked when they are needed.

    usable   (n,) the numbers in the store of those which may serve, as far as their lengths say
    """

    store: Lines | Shards
    usable: NDArray[np.int64]
    rules: Rules

    @cached_property
    def seconds(self) -> NDArray[np.float32]:
        found: NDArray[np.float32] = self.store.seconds[self.usable]
        return found

    @cached_property
    def starts(self) -> NDArray[np.int64] | None:
        return None if isinstance(self.store, Lines) else np.searchsorted(self.usable, self.store.starts)

    def __len__(self) -> int:
        return len(self.usable)

    def count(self, number: int) -> int:
        try:
            return len(self.rules.tokenizer.encode(self.store[int(self.usable[number])].text))
        except (ManifestError, TextError):
            return 0

    def sample(self, count: int) -> list[int]:
        if self.starts is None:
            return list(range(0, len(self), max(1, len(self) // count)))
        shards = range(0, len(self.starts) - 1, -(-(len(self.starts) - 1) // _SPREAD))
        numbers = (range(*self.starts[shard : shard + 2].tolist()) for shard in shards)
        return list(itertools.chain.from_iterable(n[: -(-count // len(shards))] for n in numbers))

    def reader(self, wanted: NDArray[Any]) -> Read:
        if isinstance(self.store, Lines):
            return self._read_line
        mask = np.zeros(len(self.store.seconds), bool)
        mask[self.usable[wanted]] = True
        archives = Reader(self.store, mask)
        return lambda number: self._read_member(archives, int(self.usable[number]))

    def _read_line(self, number: int) -> Outcome:
        line = int(self.usable[number])
        try:
            utterance = self.store[line]
        except ManifestError as error:
            return Dropped(f"line {line + 1}", "manifest", str(error))
        try:
            return self.rules(utterance, read(utterance, self.rules.rate))
        except AudioError as error:
            return Dropped(utterance.id, "audio", str(error))

    def _read_member(self, archives: Reader, number: int) -> Outcome:
        try:
            utterance, data = archives.take(number)
            wave = audio.read(Path(utterance.audio), self.rules.rate, data=data)
        except AudioError as error:
            shard, line = archives.shards.place(number)
            return Dropped(f"{archives.shards.paths[shard].stem}:{line + 1}", "audio", str(error))
        return self.rules(utterance, wave)


def read(utterance: Utterance, rate: int) -> Wave:
    """The samples (S,) of an utterance. Raises AudioError."""
    seconds = None if utterance.start is None else utterance.seconds
    return audio.read(Path(utterance.audio), rate, utterance.start, seconds)


def spoken(item: Item) -> Outcome:
    """Unless there is no text."""
    utterance = item.utterance
    return item if utterance.text.strip() else Dropped(utterance.id, "empty transcript", utterance.audio)


def within(item: Item, config: DataConfig) -> Outcome:
    """Unless it is shorter or longer than is wanted."""
    id_, seconds = item.utterance.id, item.utterance.seconds
    if seconds < config.min_seconds:
        return Dropped(id_, "too short", f"{seconds:.3f} s, below {config.min_seconds:g} s")
    if seconds > config.max_seconds:
        return Dropped(id_, "too long", f"{seconds:.1f} s, above {config.max_seconds:g} s")
    return item


def tokenised(item: Item, tokenizer: Tokenizer) -> Outcome:
    """With its tokens, unless they do not exist."""
    try:
        return replace(item, tokens=tuple(tokenizer.encode(item.utterance.text)))
    except TextError as error:
        return Dropped(item.utterance.id, "unknown characters", str(error))


def fitted(item: Item, frames: int) -> Outcome:
    """Unless CTC has too few encoder frames: it needs one for each token and one more between two equal ones."""
    needed = align.shortest(item.tokens)
    if max(needed, 1) <= frames:
        return replace(item, spare=frames - needed)
    detail = f"{frames} encoder frames for {needed} tokens; a wrong transcript or a hasty speaker"
    return Dropped(item.utterance.id, "too short for CTC", detail)


def parted(outcomes: Iterable[Outcome]) -> tuple[list[Item], list[Dropped]]:
    """The items, and what was dropped."""
    found = list(outcomes)
    return [o for o in found if isinstance(o, Item)], [o for o in found if isinstance(o, Dropped)]
