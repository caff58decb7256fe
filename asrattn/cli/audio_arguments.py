"""Audio files that a command line names: files, folders, patterns, a list on stdin; the names of their outputs."""

import fnmatch
import glob
import io
import logging
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from asrattn.errors import AudioError

_log = logging.getLogger(__name__)


class NamedAudio(NamedTuple):
    """A file; the name of its outputs, without suffix: below the folder that was named; and its id: the stem, or that
    name where several have one stem."""

    path: Path
    name: str
    id: str = ""


def expand(arguments: Sequence[str]) -> tuple[list[NamedAudio], int]:
    """The files that the arguments name, each once, and the number of arguments without any, which are reported.

    Names are those of the files, and of a folder's files the paths below it; where several would be equal, paths below
    the folder that all of these have in common, with suffixes if need be.
    """
    found: dict[Path, NamedAudio] = {}
    failed = 0
    for argument in arguments:
        try:
            for each in _files(argument):
                found.setdefault(each.path, each)
        except AudioError as error:
            _log.error("asrattn: %s", error)
            failed += 1
    named = _distinct(list(found.values()))
    stems = Counter(each.path.stem for each in named)
    return [
        each._replace(id=each.path.stem if stems[each.path.stem] == 1 else each.name) for each in named
    ], failed


def _files(argument: str) -> Iterator[NamedAudio]:
    path = Path(argument)
    if argument == "-":
        yield from map(_single, _read_list())
    elif path.is_dir():
        yield from _folder(path)
    elif glob.has_magic(argument) and not path.exists():
        matches = _matches(argument)
        if not matches:
            raise AudioError(f"{argument}: no file matches the pattern")
        for match in matches:
            yield from _folder(match) if match.is_dir() else [_single(match)]
    else:
        yield _single(path)


def _single(path: Path) -> NamedAudio:
    return NamedAudio(path, path.stem)


def _folder(folder: Path) -> Iterator[NamedAudio]:
    from asrattn.audio import EXTENSIONS
    from asrattn.audio.walker import find_audio

    try:
        paths, passed_over = find_audio(folder)
    except OSError as error:
        raise AudioError(f"{folder}: cannot be read ({error.strerror})") from None
    if passed_over:
        _log.warning("%s: passed over: %s", folder, passed_over)
    if not paths:
        raise AudioError(f"{folder}: holds no audio file ({', '.join(sorted(EXTENSIONS))})")
    for path in paths:
        yield NamedAudio(path, path.relative_to(folder).with_suffix("").as_posix())


def _read_list() -> list[Path]:
    """Paths on stdin, one a line, or ended by zero bytes as `find -print0` writes them; in any encoding."""
    binary: io.BufferedIOBase | None = getattr(sys.stdin, "buffer", None)
    text = os.fsdecode(binary.read()) if binary else sys.stdin.read()
    lines = text.split("\0") if "\0" in text else [line.removesuffix("\r") for line in text.split("\n")]
    return [Path(line) for line in lines if line.strip()]


def _matches(pattern: str) -> list[Path]:
    """The paths that match, sorted. ** goes through the walk of folders, which enters each folder once."""
    parts = Path(pattern).parts
    base, rest = Path(), list(parts)
    while rest and (
        not glob.has_magic(rest[0]) or (base / rest[0]).exists()
    ):  # brackets may be part of a name
        base /= rest.pop(0)
    if "**" not in rest:
        return sorted(map(Path, glob.glob(str(Path(glob.escape(str(base)), *rest)))))  # noqa: PTH207 (absolute ones)
    from asrattn.audio.walker import find_files

    if not base.is_dir():
        return []
    return [each for each in find_files(base).files if _fits(each.relative_to(base).parts, rest)]


def _fits(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether a path matches a pattern; ** stands for any number of folders."""
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return _fits(parts, pattern[1:]) or (bool(parts) and _fits(parts[1:], pattern))
    return bool(parts) and fnmatch.fnmatchcase(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])


def _distinct(found: list[NamedAudio]) -> list[NamedAudio]:
    """Names that differ: where some are equal, paths take their places."""
    for below in (_path_without_suffix, _path):
        counts = Counter(each.name for each in found)
        equal = [each.path.absolute() for each in found if counts[each.name] > 1]
        if not equal:
            break
        base = Path(os.path.commonpath([path.parent for path in equal]))
        found = [
            each._replace(name=below(each.path.absolute().relative_to(base)))
            if counts[each.name] > 1
            else each
            for each in found
        ]
    return found


def _path_without_suffix(path: Path) -> str:
    return path.with_suffix("").as_posix()


def _path(path: Path) -> str:
    return path.as_posix()
