"""Lazy manifest, for manifests larger than memory: an index of offsets and durations; lines are parsed on access.

One pass over the bytes finds both. For a large manifest they are kept in an index next to it, `train.jsonl.index`,
which is mapped and not read: opening it again takes no time, and processes share its pages.
"""

import codecs
import os
import re
import struct
import tempfile
import uuid
import weakref
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from asrattn.data import manifest
from asrattn.data.manifest import Utterance
from asrattn.errors import ManifestError

MIN_INDEXED_BYTES = 1 << 26  # bytes of a manifest from which on its index is kept on disk
_RECORD = np.dtype([("at", "<i8"), ("seconds", "<f4")])
_HEADER = struct.Struct("<8sqq")  # what it is · size and mtime of the manifest
_MAGIC = b"asrattn1"
_BLOCK = 1 << 22  # bytes of a manifest in memory at a time
_PARTS = 16  # in which ids are compared: so much less memory is taken
_ID = re.compile(rb'\{"id": "([^"\\]+)"')
# A quotation mark within a JSON string has a backslash before it: this is never a part of a text.
_SECONDS = re.compile(rb'"seconds": ([0-9]{1,8}(?:\.[0-9]+)?)[,}]')


ManifestIndex: TypeAlias = NDArray[Any]  # (n,) records
IndexHeader: TypeAlias = tuple[bytes, int, int]  # what an index begins with


class LazyManifest(Sequence[Utterance]):
    """The utterances of a manifest, each parsed on access; audio paths made absolute.

    Raises ManifestError on opening for a file that cannot be read or holds nothing, for duplicate ids, and for a line
    without an id or a length; for whatever else is wrong with a line (see `manifest.read`) when that line is read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        try:
            self._index = _open_index(self.path)
        except FileNotFoundError:
            raise ManifestError(f"{path}: does not exist; make it with python -m data_prep") from None
        except IsADirectoryError:
            raise ManifestError(f"{path}: is a folder; name a manifest (.jsonl) in it") from None
        except OSError as error:
            raise ManifestError(f"{path}: cannot be read ({error.strerror})") from None
        if not len(self._index):
            raise ManifestError(f"{path}: holds no utterance; prepare it again with python -m data_prep")

    @property
    def seconds(self) -> NDArray[np.float32]:
        """(n,) how long each lasts; do not write to it."""
        found: NDArray[np.float32] = self._index["seconds"]
        return found

    def __len__(self) -> int:
        return len(self._index)

    @overload
    def __getitem__(self, index: int) -> Utterance: ...
    @overload
    def __getitem__(self, index: slice) -> list[Utterance]: ...
    def __getitem__(self, index: int | slice) -> Utterance | list[Utterance]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        index = range(len(self))[index]
        try:
            return manifest.parse_line(_line(self._file, self._index, index), "", self.path.parent)
        except UnicodeDecodeError:
            raise ManifestError(
                f"{self._place(index)}: is not UTF-8 text; a manifest is JSON lines"
            ) from None
        except ManifestError as error:
            raise ManifestError(f"{self._place(index)}{error}") from None

    def __reduce__(self) -> tuple[Any, ...]:
        return LazyManifest, (self.path,)  # another process maps the index for itself

    @cached_property
    def _file(self) -> IO[bytes]:
        file = self.path.open("rb", buffering=0)
        weakref.finalize(self, file.close)
        return file

    def _place(self, index: int) -> str:
        return _place(self.path, int(self._index["at"][index]))


class _Block(NamedTuple):
    """Some lines: where they begin and how long they last, and hashes of their ids."""

    records: ManifestIndex
    ids: NDArray[np.int64]


def _open_index(path: Path) -> ManifestIndex:
    with path.open("rb") as file:
        found = os.fstat(file.fileno())
        known = _MAGIC, found.st_size, found.st_mtime_ns
        kept = path.with_name(path.name + ".index")
        if found.st_size >= MIN_INDEXED_BYTES:
            index = _load_index(kept, known)
            return _build_index(kept, known, file, path) if index is None else index
        blocks = list(_scan(file, path))
        index = np.concatenate([np.zeros(0, _RECORD), *(b.records for b in blocks)])
        _check_ids(np.concatenate([np.zeros(0, np.int64), *(b.ids for b in blocks)]), file, index, path)
        return index


def _load_index(kept: Path, known: IndexHeader) -> ManifestIndex | None:
    """The index on disk, unless there is none, or the manifest has changed since."""
    try:
        with kept.open("rb") as file:
            header = file.read(_HEADER.size)
            if len(header) < _HEADER.size or _HEADER.unpack(header) != known:
                return None
            return np.memmap(file, _RECORD, "r", _HEADER.size)
    except (OSError, ValueError):  # a file that cannot be read, or is no whole number of records
        return None


def _build_index(kept: Path, known: IndexHeader, file: IO[bytes], path: Path) -> ManifestIndex:
    """Write the index, check the ids, and map it; in the folder for passing files where its own is not writable."""
    folder = kept.parent if os.access(kept.parent, os.W_OK) else Path(tempfile.gettempdir())
    draft = folder / f"{kept.name}.{uuid.uuid4().hex}.part"
    try:
        with draft.open("wb") as out, tempfile.TemporaryFile(dir=folder) as ids:
            out.write(_HEADER.pack(*known))
            for block in _scan(file, path):
                block.records.tofile(out)
                block.ids.tofile(ids)
            out.flush()
            ids.flush()
            index = np.memmap(draft, _RECORD, "r", _HEADER.size)
            _check_ids(np.memmap(ids, np.int64, "r"), file, index, path)
        if folder == kept.parent:
            draft.replace(kept)
    finally:
        draft.unlink(missing_ok=True)  # what is mapped stays
    return index


def _scan(file: IO[bytes], path: Path) -> Iterator[_Block]:
    """The lines that are not empty, some thousands at a time."""
    at = 0
    while lines := file.readlines(_BLOCK):
        sizes = np.fromiter(map(len, lines), np.int64, len(lines))
        starts = at + np.cumsum(sizes) - sizes
        if at == 0 and lines[0].startswith(codecs.BOM_UTF8):
            lines[0] = lines[0].removeprefix(codecs.BOM_UTF8)
            starts[0] = len(codecs.BOM_UTF8)
        found = [_scan_line(line, path, start) for line, start in zip(lines, starts, strict=True)]
        full = np.fromiter((f is not None for f in found), bool, len(found))
        records = np.zeros(int(full.sum()), _RECORD)
        records["at"] = starts[full]
        records["seconds"] = np.fromiter((f[1] for f in found if f), np.float32, len(records))
        yield _Block(records, np.fromiter((f[0] for f in found if f), np.int64, len(records)))
        at += int(sizes.sum())


def _scan_line(line: bytes, path: Path, at: int) -> tuple[int, float] | None:
    """A hash of the id, and the length in seconds; None for an empty line. What is unusual is parsed as a whole."""
    id_, seconds = _ID.match(line), _SECONDS.search(line)
    if id_ and seconds:
        return hash(id_[1]), float(seconds[1])
    if not line.strip():
        return None
    try:
        utterance = manifest.parse_line(line.decode(), "", path.parent)
    except UnicodeDecodeError:
        raise ManifestError(f"{_place(path, at)}: is not UTF-8 text; a manifest is JSON lines") from None
    except ManifestError as error:
        raise ManifestError(f"{_place(path, at)}{error}") from None
    return hash(utterance.id.encode(errors="surrogatepass")), utterance.seconds


def _check_ids(ids: NDArray[np.int64], file: IO[bytes], index: ManifestIndex, path: Path) -> None:
    """Raise ManifestError for a duplicate id."""
    for twin in _duplicates(ids):
        seen: dict[str, int] = {}
        for i in np.flatnonzero(ids == twin).tolist():
            id_ = manifest.parse_line(_line(file, index, i), "", path.parent).id
            if id_ in seen:
                first = _place(path, int(index["at"][seen[id_]])).rpartition(":")[2]
                where = _place(path, int(index["at"][i]))
                raise ManifestError(f"{where}: id {id_!r} is on line {first} too; ids must differ")
            seen[id_] = i


def _duplicates(hashes: NDArray[np.int64]) -> Iterator[int]:
    """The values that occur more than once; a part of them is sorted at a time, so that memory stays small."""
    for part in range(_PARTS):
        blocks = (hashes[at : at + _BLOCK] for at in range(0, len(hashes), _BLOCK))
        some = np.concatenate([np.zeros(0, np.int64), *(b[b % _PARTS == part] for b in blocks)])
        some.sort()
        yield from np.unique(some[1:][some[1:] == some[:-1]]).tolist()


def _line(file: IO[bytes], index: ManifestIndex, i: int) -> str:
    """Raises UnicodeDecodeError."""
    at = int(index["at"][i])
    end = int(index["at"][i + 1]) if i + 1 < len(index) else os.fstat(file.fileno()).st_size
    return os.pread(file.fileno(), end - at, at).decode()  # moves no position that forked processes share


def _place(path: Path, at: int) -> str:
    """File and line of a byte; empty lines count, though they are not in the index."""
    with path.open("rb") as file:
        before = (file.read(min(_BLOCK, at - begin)) for begin in range(0, at, _BLOCK))
        number = 1 + sum(block.count(b"\n") for block in before)
        return f"{path}:{number}"
