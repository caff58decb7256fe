"""Shards: audio in tar archives, for disks and networks that prefer large files read from front to back.

A folder of shards holds `shard-00000.tar` with audio files, next to `shard-00000.jsonl`, a manifest whose audio paths
name archive and member: `shard-00000.tar/000017.flac`. Nothing is unpacked to disk. `shards.json` says how many shards
there are to be.
"""

import os
import struct
import tarfile
import zlib
from collections.abc import Container, Iterator
from dataclasses import dataclass
from functools import lru_cache
from io import BufferedReader
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asrattn import files, strict_json
from asrattn.data.lazy_manifest import LazyManifest
from asrattn.data.manifest import Utterance
from asrattn.errors import AudioError, ManifestError

INFO_FILENAME = "shards.json"
_MANIFESTS = "shard-*.jsonl"
_ARCHIVE = ".tar/"


@dataclass(frozen=True)
class Shards:
    """A folder of shards, opened: what is known of all utterances in them, in the order of the shards.

    paths     the manifests of the shards
    starts    (shards + 1,) the number of the first utterance of each; at the end that of all
    seconds   (n,) how long each utterance lasts
    """

    paths: tuple[Path, ...]
    starts: NDArray[np.int64]
    seconds: NDArray[np.float32]

    @staticmethod
    def open(folder: Path) -> "Shards":
        """Raises ManifestError where there are none, or some are missing; and for their manifests as Lines does."""
        paths = check(folder)
        seconds = [LazyManifest(path).seconds for path in paths]
        starts = np.cumsum([0, *map(len, seconds)])
        return Shards(paths, starts, np.concatenate(seconds))

    def locate(self, number: int) -> tuple[int, int]:
        """The shard of an utterance, and which line of it."""
        shard = int(np.searchsorted(self.starts, number, "right")) - 1
        return shard, number - int(self.starts[shard])

    def __getitem__(self, number: int) -> Utterance:
        """Raises ManifestError for a bad line."""
        shard, line = self.locate(number)
        return _lines(self.paths[shard])[line]


def is_shard_folder(folder: Path) -> bool:
    """Whether a folder holds shards, or is to hold some."""
    return (folder / INFO_FILENAME).is_file() or any(folder.glob(_MANIFESTS))


@lru_cache(maxsize=64)
def _lines(path: Path) -> LazyManifest:
    """The shards of a window, read in turns."""
    return LazyManifest(path)


def check(folder: Path) -> tuple[Path, ...]:
    """The manifests of all shards of a folder. Raises ManifestError where there are none, or some are missing."""
    paths = tuple(sorted(folder.glob(_MANIFESTS)))
    if not paths:
        raise ManifestError(f"{folder}: holds no shard; make some with python -m data_prep shards")
    _check_complete(folder, len(paths))
    return paths


class ShardReader:
    """The audio files of utterances in shards. An archive is read once, from front to back; what passes by and is
    wanted later is kept in memory. So consecutive utterances should come from few shards.

    wanted   (n,) which utterances will be read, each of them once
    kept     utterances and the bytes of their files, by number
    """

    def __init__(self, shards: Shards, wanted: NDArray[np.bool_]) -> None:
        self.shards = shards
        self.wanted = wanted
        self.buffer: dict[int, tuple[Utterance, bytes]] = {}
        self._faults: dict[int, str] = {}
        self._open: dict[int, Iterator[None]] = {}

    def read(self, number: int) -> tuple[Utterance, bytes]:
        """An utterance and the bytes of its audio file.

        Raises ManifestError for a bad line, AudioError for a file that is missing from the archive or damaged in it.
        """
        shard, line = self.shards.locate(number)
        if shard not in self._open:
            self._open[shard] = self._scan_shard(shard)
        while number not in self.buffer and number not in self._faults:
            if next(self._open[shard], self) is self and number not in self._faults:
                raise LookupError(f"{self.shards.paths[shard]}: utterance {line} was not wanted, or is taken")
        if number in self._faults:
            raise AudioError(self._faults.pop(number))
        return self.buffer.pop(number)

    def _scan_shard(self, shard: int) -> Iterator[None]:
        """Go through a shard, pausing at each file that is wanted."""
        for archive, wanted in self._wanted_of(shard).items():
            trouble = f"is not in {archive}, or damaged there; make the shard again"
            try:
                for name, data in _files(archive, wanted):
                    number, utterance = wanted.pop(name)
                    self.buffer[number] = utterance, data
                    yield
            except (tarfile.TarError, OSError, ValueError) as error:
                trouble = f"cannot be read from {archive} ({error}); make the shard again"
            for number, utterance in wanted.values():
                self._faults[number] = f"{utterance.id}: {trouble}"

    def _wanted_of(self, shard: int) -> dict[Path, dict[str, tuple[int, Utterance]]]:
        """Number and utterance by archive and name in it."""
        begin, end = self.shards.starts[shard : shard + 2].tolist()
        lines = LazyManifest(self.shards.paths[shard])
        found: dict[Path, dict[str, tuple[int, Utterance]]] = {}
        for line in np.flatnonzero(self.wanted[begin:end]).tolist():
            try:
                archive, name = _member(lines[line])
            except ManifestError as error:
                self._faults[begin + line] = str(error)
                continue
            found.setdefault(archive, {})[name] = begin + line, lines[line]
        return found


def containing_file(audio: str) -> Path:
    """The file on disk that holds the audio: its archive, if there is one."""
    archive, found, _ = audio.partition(_ARCHIVE)
    return Path(archive + found.rstrip("/"))


def _member(utterance: Utterance) -> tuple[Path, str]:
    archive, found, name = utterance.audio.partition(_ARCHIVE)
    if not found:
        raise ManifestError(
            f"{utterance.id}: audio names no file in an archive, such as shard-00000.tar/a.flac"
        )
    return Path(archive + _ARCHIVE.rstrip("/")), name


def _files(archive: Path, wanted: Container[str]) -> Iterator[tuple[str, bytes]]:
    """Those of the files in an archive that are wanted. What is no plain file is passed over, nothing is followed."""
    for tar, member in read_tar(archive):
        if member.name in wanted and member.isreg() and not member.issparse():
            file = tar.extractfile(member)
            assert file is not None
            yield member.name, file.read()


def read_tar(archive: Path) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    """The members of an archive. Damaged blocks are passed over, and members that would end behind its end.

    Raises OSError, tarfile.TarError or ValueError for what is no archive or cannot be read.
    """
    with files.open_file(archive) as file:
        size = os.fstat(file.fileno()).st_size
        whole = True
        try:
            with tarfile.open(fileobj=_BoundedFile(file, size), mode="r:", ignore_zeros=True) as tar:  # type: ignore[call-overload]
                for member in tar:
                    if 0 <= member.size <= size - member.offset_data:
                        yield tar, member
                    else:  # a size that lies: the next header may follow at once
                        tar.offset, whole = member.offset_data, False
        except (LookupError, OverflowError, struct.error, zlib.error) as error:  # what tarfile does not catch
            raise tarfile.ReadError(f"damaged: {error}") from None
        if not whole:
            raise tarfile.ReadError("unexpected end of data")


class _BoundedFile:
    """What tarfile needs of a file. No more is asked for than the file holds: a header may say any size."""

    def __init__(self, file: BufferedReader, size: int) -> None:
        self.file, self.size = file, size

    def read(self, count: int) -> bytes:
        return self.file.read(max(0, min(count, self.size - self.file.tell())))

    def seek(self, at: int) -> int:
        return self.file.seek(max(0, min(at, self.size)))

    def tell(self) -> int:
        return self.file.tell()


def _check_complete(folder: Path, found: int) -> None:
    """Raise ManifestError unless there are as many shards as were to be made."""
    about = folder / INFO_FILENAME
    if not about.is_file():
        return  # made by something else, which promised nothing
    try:
        promised = int(strict_json.parse(files.read_text(about))["shards"])
    except (OSError, ValueError, KeyError, TypeError):
        raise ManifestError(f"{about}: is damaged; make the shards again") from None
    if found != promised:
        raise ManifestError(
            f"{folder}: holds {found} of {promised} shards; make the others with python -m data_prep shards"
        )
