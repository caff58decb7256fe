"""Atomic writes: a reader never sees half a file. Reading without waiting for a pipe. Locks. Output folders."""

import errno
import hashlib
import logging
import os
import stat
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path

from asrattn.errors import ConfigError

log = logging.getLogger(__name__)

MAX_NAME_BYTES = 255  # of a file name, on nearly all file systems
_TURNING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # the direction of writing


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Where to write what takes the place of `path` at the end of the block; gone where the block fails. The folder is
    made. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(shorten_name(path.name, ".part"))
    try:
        yield draft
        draft.replace(path)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise


def open_file(path: Path) -> BufferedReader:
    """Open a file to read its bytes. Raises OSError, also for a folder, and for a pipe or a device: opening one may
    wait for ever, and reading it never end."""
    found = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    kind = os.fstat(found).st_mode
    if stat.S_ISREG(kind):
        return os.fdopen(found, "rb")
    os.close(found)
    if stat.S_ISDIR(kind):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raise OSError(errno.EINVAL, "it is a pipe or a device, not a file", str(path))


def read_text(path: Path) -> str:
    """UTF-8. Raises OSError as `open_file`, UnicodeDecodeError."""
    with open_file(path) as file:
        return file.read().decode("utf-8")


def write_text(path: Path, text: str) -> None:
    """UTF-8. Raises OSError."""
    with atomic_write(path) as draft:
        # A file name that is no UTF-8 comes as lone surrogates; a backslash escape is what JSON calls them.
        draft.write_text(text, encoding="utf-8", errors="backslashreplace")


def try_lock(path: Path) -> int | None:
    """Lock a file, which is made if it does not exist, until the returned descriptor is closed or this process ends,
    however it ends; None if another process holds the lock. Raises OSError if the file cannot be made."""
    import fcntl  # Unix alone has it

    found = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(found, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(found)
        return None
    except OSError as error:  # a file system without locks
        log.debug("%s: cannot be locked (%s)", path, error.strerror)
    return found


def make_folder(folder: Path) -> None:
    """Raises ConfigError where the folder cannot be made or written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be made ({error.strerror}); name another folder") from None
    if not os.access(folder, os.W_OK):
        raise ConfigError(f"{folder}: cannot be written; name another folder")


def shorten_name(stem: str, suffix: str) -> str:
    """A file name of at most MAX_NAME_BYTES: a longer stem is cut, and a digest of it keeps names apart."""
    name = stem + suffix
    size = len(os.fsencode(name))
    if size <= MAX_NAME_BYTES:
        return name
    digest = hashlib.blake2b(os.fsencode(stem), digest_size=4).hexdigest()
    kept = stem
    while len(os.fsencode(f"{kept}-{digest}{suffix}")) > MAX_NAME_BYTES:
        kept = kept[:-1]
    return f"{kept}-{digest}{suffix}"


def printable(text: object) -> str:
    """A path or a message for a terminal, in one line: bytes that are no UTF-8, line breaks, escape sequences and marks
    that turn the direction of writing are escaped."""
    plain = (
        os.fsencode(str(text)).decode("utf-8", "backslashreplace")
        if _has_surrogates(str(text))
        else str(text)
    )
    return "".join(char if _is_harmless(char) else char.encode("unicode_escape").decode() for char in plain)


def _has_surrogates(text: str) -> bool:
    return any("\ud800" <= char <= "\udfff" for char in text)


def _is_harmless(char: str) -> bool:
    return char.isprintable() or (
        unicodedata.category(char) in ("Zs", "Cf", "Co", "Cn") and char not in _TURNING
    )
