"""Reading texts and models, gzipped or not."""

import contextlib
import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from asrattn import files
from asrattn.errors import AsrattnError, TextError

MAX_LINE_BYTES = 1 << 24


@contextlib.contextmanager
def open_maybe_gzip(path: Path, kind: type[AsrattnError], remedy: str) -> Iterator[IO[bytes] | gzip.GzipFile]:
    """The bytes of a file, unzipped where it begins as zipped files do. Raises `kind` where it cannot be read."""
    try:
        with files.open_file(path) as raw, contextlib.ExitStack() as stack:
            zipped = raw.peek(2).startswith(b"\x1f\x8b")
            yield stack.enter_context(gzip.GzipFile(fileobj=raw)) if zipped else raw
    except FileNotFoundError:
        raise kind(f"{path}: does not exist; {remedy}") from None
    except IsADirectoryError:
        raise kind(f"{path}: is a folder; {remedy}") from None
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise kind(f"{path}: is truncated or damaged, and cannot be unzipped; copy it again") from None
    except OSError as error:
        raise kind(f"{path}: cannot be read ({error.strerror})") from error


def read_lines(path: Path, file: IO[bytes] | gzip.GzipFile, kind: type[AsrattnError]) -> Iterator[bytes]:
    """The lines of an open file. Raises `kind` for one longer than MAX_LINE_BYTES: zipped, gigabytes are small."""
    number = 0
    while line := file.readline(MAX_LINE_BYTES):
        number += 1
        if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
            raise kind(f"{path}:{number}: is longer than {MAX_LINE_BYTES} bytes; is it a text?")
        yield line


def check(path: Path) -> None:
    """Raises TextError, as `sentences` does, for a file that cannot be opened or begins with no text."""
    next(read_sentences(path), None)


def read_sentences(path: Path) -> Iterator[str]:
    """The lines of a text. Raises TextError for what cannot be read, and naming the line for what is no UTF-8."""
    with open_maybe_gzip(
        path, TextError, "name a text with one sentence a line, or a manifest (.jsonl)"
    ) as file:
        for number, line in enumerate(read_lines(path, file, TextError), 1):
            try:
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError:
                raise TextError(f"{path}:{number}: is not UTF-8 text; convert the file") from None
