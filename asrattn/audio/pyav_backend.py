"""PyAV backend (an extra): the audio track of m4a, mp4, mov, webm, mkv, aac and what else FFmpeg decodes."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from asrattn.audio import containers
from asrattn.audio.containers import boxes
from asrattn.audio.containers.layout import SoundBytes, left_note
from asrattn.audio.containers.splice import Splice
from asrattn.audio.interface import AudioDecoder, Wave, explain_decode_error, truncation_error
from asrattn.errors import AudioError

_PREROLL_SECONDS = 0.5  # decoded before a segment: codecs need a run-up
_TRUNCATED_SECONDS = (
    0.1  # fewer than the container promises are no damage: it counts packets and milliseconds
)
_AVI_SECONDS = 0.5  # the same of AVI, which counts its chunks
_KEPT_SECONDS = 60.0  # of a track that is decoded once and not twice
_MAX_INDICES = 64
_UNSEEKABLE = ("aac", "amr", "ac3", "mpegts", "mpeg", "shn")  # without an index FFmpeg guesses places


class _Track(NamedTuple):
    rate: int
    channels: int


class _Index(NamedTuple):
    """Where each decoded frame of a track is: its time stamp (-1: none) and its first sample; samples in all, and the
    seconds that the container promises; the samples (n, channels) of a short track."""

    stamps: NDArray[np.int64]
    firsts: NDArray[np.int64]
    frames: int
    promised: float
    samples: Wave | None = None


_indices: dict[tuple[int, ...], _Index] = {}  # of the files that were opened lately


class _PyAVDecoder:
    """The first audio track of a container, opened anew for every segment: a decoder that is rewound loses packets."""

    def __init__(
        self, path: Path, file: SoundBytes, name: str, track: _Track, index: _Index, notes: tuple[str, ...]
    ) -> None:
        self._path, self._file, self._name, self._track, self._index = path, file, name, track, index
        self.rate, self.channels = track
        self.frames = index.frames
        self.notes = notes

    def blocks(self, begin: int, count: int) -> Iterator[Wave]:
        if self._index.samples is not None:
            yield self._index.samples[begin : begin + count]
        elif not (yield from self._decode_from(self._seek_point(begin), begin, count)):
            yield from self._decode_from(0, begin, count)

    def _decode_from(self, entry: int, begin: int, count: int) -> Generator[Wave, None, bool]:
        """The samples, decoded from an entry of the index on; False if FFmpeg does not go there."""
        at = 0 if entry == 0 else None
        with _open(self._path, self._file, self._name) as container:
            if entry:
                container.seek(int(self._index.stamps[entry]), stream=container.streams.audio[0])
            for stamp, block in _decode(container, self._path, self._track):
                at = self._first_sample(stamp, begin) if at is None else at
                if at is None:
                    return False
                wanted = block[max(begin - at, 0) : max(begin + count - at, 0)]
                at += len(block)
                if len(wanted):
                    yield wanted
                if at >= begin + count:
                    break
        return at is not None

    def _seek_point(self, begin: int) -> int:
        """The entry of the index to seek to for a frame; 0 where decoding begins at the start."""
        entry = int(np.searchsorted(self._index.firsts, begin - _PREROLL_SECONDS * self.rate, "right")) - 1
        return 0 if entry <= 0 or self._name in _UNSEEKABLE or self._index.stamps[entry] < 0 else entry

    def _first_sample(self, stamp: int | None, begin: int) -> int | None:
        """The first sample of the frame with this time stamp; None where that is not known, or behind `begin`."""
        entries = np.flatnonzero(self._index.stamps == (-1 if stamp is None else stamp))
        first = int(self._index.firsts[entries[0]]) if len(entries) == 1 else None
        return first if first is not None and first <= begin else None


def _decode(container: Any, path: Path, track: _Track) -> Iterator[tuple[int | None, Wave]]:
    """Time stamps and samples (n, channels) of the decoded frames. Raises AudioError if their format changes."""
    for frame in container.decode(container.streams.audio[0]):
        if (frame.sample_rate, frame.layout.nb_channels) != (track.rate, track.channels):
            raise AudioError(
                f"{path}: changes its rate or channels within; convert it, for example with ffmpeg -i old new.wav"
            )
        yield frame.pts, _samples(frame, track.channels)


def _samples(frame: Any, channels: int) -> Wave:
    """(n, channels) float32; integers are scaled to ±1."""
    values: NDArray[Any] = frame.to_ndarray()
    values = values.T if frame.format.is_planar else values.reshape(-1, channels)
    scale = -float(np.iinfo(values.dtype).min) if values.dtype.kind == "i" else 128.0
    zero = 128.0 if values.dtype.kind == "u" else 0.0
    wave = values.astype(np.float32)
    return wave if values.dtype.kind == "f" else (wave - np.float32(zero)) / np.float32(scale)


def _read_index(path: Path, file: SoundBytes, name: str, track: _Track) -> _Index:
    """Decode the track once: nothing else gives the true number of its samples."""
    stamps: list[int] = []
    lengths: list[int] = []
    kept: list[Wave] | None = []
    last = -1
    with _open(path, file, name) as container:
        promised = _promised_seconds(container, name)
        for stamp, block in _decode(container, path, track):
            stamps.append(stamp if stamp is not None and stamp > last else -1)
            last = max(last, stamps[-1])
            lengths.append(len(block))
            if kept is not None:
                kept.append(block)
                kept = kept if sum(lengths) <= _KEPT_SECONDS * track.rate else None
    ends = np.cumsum([0, *lengths])
    samples = np.concatenate(kept) if kept else None
    return _Index(np.array(stamps, np.int64), ends[:-1], int(ends[-1]), promised, samples)


def _promised_seconds(container: Any, name: str) -> float:
    """By the header; 0 where it does not say it, or FFmpeg guesses."""
    stream = container.streams.audio[0]
    if name in _UNSEEKABLE:
        return 0.0
    if stream.duration is not None:
        return float(stream.duration * stream.time_base)
    return max(container.duration or 0, 0) / 1e6 if len(container.streams) == 1 else 0.0


def _index(path: Path, file: SoundBytes, name: str, track: _Track) -> _Index:
    key = containers.file_key(file)
    found = _indices.get(key) if key else None
    if found is None:
        found = _read_index(path, file, name, track)
        if key:
            if len(_indices) >= _MAX_INDICES:
                _indices.clear()
            _indices[key] = found._replace(samples=None)
    return found


@contextmanager
def _open(path: Path, file: SoundBytes, name: str) -> Iterator[Any]:
    import av

    splice = Splice(file, [(0, file.seek(0, 2))])
    # An open file and a fixed format: nothing in it can make FFmpeg open another file or an address.
    with av.open(splice, format=name, metadata_errors="replace", io_open=_refuse) as container:
        if not container.streams.audio:
            raise AudioError(f"{path}: holds no audio track; name another file")
        yield container
    if splice.error:
        raise splice.error


def _refuse(url: str, *_: object) -> Any:
    raise PermissionError(f"{url}: another file is not opened")


@contextmanager
def open_pyav(path: Path, file: SoundBytes, name: str) -> Iterator[AudioDecoder]:
    """FFmpeg's view of the file as a container of the format `name`. Raises AudioError, also inside the with block."""
    try:
        import av
    except ModuleNotFoundError:
        raise AudioError(f"{path}: is {name}, which needs PyAV; pip install asrattn[video]") from None
    left = boxes.unmatched_bytes(file, name)
    if left < 0:
        raise truncation_error(path, f"({-left} bytes are missing at its end)")
    try:
        with _open(path, file, name) as container:
            first = next(container.decode(container.streams.audio[0]), None)
        if first is None:
            raise AudioError(f"{path}: holds no samples; it is of zero length or truncated, drop it")
        track = _Track(
            first.sample_rate, first.layout.nb_channels
        )  # some headers give half the rate (HE-AAC)
        index = _index(path, file, name, track)
        seconds = index.frames / max(track.rate, 1)
        if seconds < index.promised - (_AVI_SECONDS if name == "avi" else _TRUNCATED_SECONDS):
            raise truncation_error(path, f"after {seconds:.2f} s of {index.promised:.2f} s")
        yield _PyAVDecoder(path, file, name, track, index, (left_note(left),) if left else ())
    except av.FFmpegError as error:
        raise AudioError(f"{path}: {explain_decode_error(0, str(error.strerror))}") from None
    except (ValueError, IndexError, MemoryError) as error:  # PyAV's own, of what a damaged header asks for
        raise AudioError(f"{path}: {explain_decode_error(0, str(error))}") from None
