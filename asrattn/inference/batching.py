"""Batching for inference: padded waves and texts, segments queued, decoded and joined again, their device."""

import itertools
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from asrattn.audio.interface import Wave
from asrattn.decoding.hypothesis import Hypothesis
from asrattn.errors import AudioError, ConfigError
from asrattn.inference.segmentation import AudioRegion, AudioSegment
from asrattn.inference.transcript import NBestEntry, Transcript, TranscriptSegment, Word
from asrattn.text import Tokenizer, clean

_MAX_QUEUED_SEGMENTS = 1000  # at most, so that many broken files are reported soon


class DecodedSegment(NamedTuple):
    """Filtered tokens and flags of a segment, its n-best hypotheses, its words if requested; of Whisper, the phrases
    between its timestamps and the detected language, if requested.

    end: the sample from which on speech follows that the text leaves out; it is a segment of its own. None if it covers
    the segment.
    """

    tokens: tuple[int, ...]
    flags: tuple[str, ...]
    hypotheses: list[Hypothesis]
    words: list[Word]
    phrases: list[Word]
    language: str = ""
    end: int | None = None


class TimedSegment(NamedTuple):
    """A decoded segment with its start and end in the region, in seconds."""

    start: float
    end: float
    decoded: DecodedSegment

    def shifted(self, seconds: float) -> Self:
        return self._replace(start=self.start + seconds, end=self.end + seconds)


class QueuedSegment(NamedTuple):
    """A segment of a region; None marks the end of the region, with a message if it could not be read, and what is odd
    about its audio."""

    region: AudioRegion
    segment: AudioSegment | None
    message: str = ""
    notes: tuple[str, ...] = ()


def join_segments(
    region: AudioRegion,
    done: Sequence[TimedSegment],
    seconds: float,
    tokenizer: Tokenizer,
    notes: tuple[str, ...] = (),
) -> Transcript:
    """The transcript of a region from its decoded segments; without one the region is silent."""
    # Scripts without spaces have none between segments either.
    separator = " " if " " in tokenizer.decode(tokenizer.encode_lossy("a a")) else ""
    flags = tuple(dict.fromkeys(flag for p in done for flag in p.decoded.flags)) if done else ("silence",)
    segments = tuple(
        TranscriptSegment(
            p.start,
            p.end,
            tuple(
                NBestEntry(clean(tokenizer.decode(found.tokens)), found.score, found.component_scores)
                for found in p.decoded.hypotheses
            ),
            tuple(phrase.shifted(p.start) for phrase in p.decoded.phrases),
            p.decoded.language,
        )
        for p in done
    )
    return Transcript(
        region.id,
        region.path,
        clean(separator.join(tokenizer.decode(p.decoded.tokens) for p in done)),
        sum(p.decoded.hypotheses[0].score for p in done),
        seconds,
        tuple(word.shifted(p.start) for p in done for word in p.decoded.words),
        flags,
        segments,
        region.channel,
        notes,
    )


def queue_segments(
    regions: Iterable[AudioRegion],
    read: Callable[[AudioRegion], Generator[AudioSegment, None, tuple[str, ...]]],
    find_error: Callable[[Wave], str],
) -> Iterator[QueuedSegment]:
    """The segments of each region, and its end, with a message if it cannot be read or one is not usable."""

    def usable(region: AudioRegion) -> Generator[QueuedSegment, None, tuple[str, ...]]:
        segments = read(region)
        while True:
            try:
                segment = next(segments)
            except StopIteration as end:
                return end.value or ()
            if error_text := find_error(segment.wave):
                raise AudioError(f"{region.path}: {error_text}")
            yield QueuedSegment(region, segment)

    for region in regions:
        message, notes = "", tuple[str, ...]()
        try:
            notes = yield from usable(region)
        except AudioError as error:
            message = str(error)
        yield QueuedSegment(region, None, message, notes)


def pad_waves(waves: Sequence[Wave], device: torch.device) -> tuple[Tensor, Tensor]:
    """(S,) waves as (B, S), padded with silence, and their lengths (B,), on the device."""
    padded = np.zeros((len(waves), max(map(len, waves))), dtype=np.float32)
    for row, wave in zip(padded, waves, strict=True):
        row[: len(wave)] = wave
    lens = torch.tensor([len(w) for w in waves])
    return torch.from_numpy(padded).to(device), lens.to(device)


def pad_texts(texts: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Tokens as (B, U), padded, and their counts (B,), on the device."""
    counts = torch.tensor([len(text) for text in texts], device=device)
    tokens = torch.zeros(len(texts), max(1, int(counts.max())), dtype=torch.int64, device=device)
    for row, text in zip(tokens, texts, strict=True):
        row[: len(text)] = torch.tensor(text, dtype=torch.int64)
    return tokens, counts


def next_window(parts: Iterator[QueuedSegment], samples: int) -> list[QueuedSegment]:
    """The next segments, until they hold so many samples."""
    window: list[QueuedSegment] = []
    for part in itertools.islice(parts, _MAX_QUEUED_SEGMENTS):
        window.append(part)
        samples -= len(part.segment.wave) if part.segment else 0
        if samples <= 0:
            break
    return window


def select_device(name: str) -> torch.device:
    """auto, cpu, cuda or cuda:N as a device. Raises ConfigError for one that is unknown or does not exist."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ConfigError(f"device {name!r} is unknown; use auto, cpu, cuda or cuda:N") from None
    if device.type not in ("cpu", "cuda"):
        raise ConfigError(f"device {name!r} is not supported; use auto, cpu, cuda or cuda:N")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(
            f"device {name!r} does not exist ({torch.cuda.device_count()} found); use --device cpu"
        )
    return device
