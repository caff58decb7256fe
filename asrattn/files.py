"""Atomic writes: a reader never sees half a file. Output folders."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from asrattn.errors import ConfigError


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Where to write what takes the place of `path` at the end of the block; gone where the block fails. The folder is
    made. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".part")
    try:
        yield draft
        draft.replace(path)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise


def write_text(path: Path, text: str) -> None:
    """UTF-8. Raises OSError."""
    with atomic_write(path) as draft:
        draft.write_text(text, encoding="utf-8")


def make_folder(folder: Path) -> None:
    """Raises ConfigError where the folder cannot be made or written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be made ({error.strerror}); name another folder") from None
    if not os.access(folder, os.W_OK):
        raise ConfigError(f"{folder}: cannot be written; name another folder")
