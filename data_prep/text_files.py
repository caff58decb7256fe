"""Text files as people save them: UTF-8 or UTF-16, with or without byte order mark, with any line ends."""

import codecs
import re
from collections.abc import Iterator
from pathlib import Path

from asrattn.errors import DataError

MAX_INVALID_FRACTION = 0.2  # of the lines: where more are not UTF-8, the whole file has another encoding
_BYTE_ORDER_MARKS = {  # UTF-32 first: its mark begins with that of UTF-16
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def read_text(path: Path, encoding: str | None = None) -> str:
    """A whole text file. encoding: None recognises UTF-8 and UTF-16. Raises DataError, also for a single bad byte."""
    text = _decode(_read_bytes(path), path, encoding)
    if not is_valid(text):
        raise DataError(
            f"{path}: is not UTF-8 text; convert it, for example with iconv, or name its --encoding"
        )
    return text


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines of a text file, without the empty ones. Raises DataError as `split_lines`."""
    for number, line in enumerate(split_lines(path), 1):
        if line.strip():
            yield number, line


def split_lines(path: Path, encoding: str | None = None, has_option: bool = False) -> list[str]:
    """All lines of a text file, without their ends; single bytes that are not UTF-8 become lone surrogates.

    has_option: whether the command has --encoding, for the message.
    Raises DataError for a file that cannot be read or has another encoding.
    """
    text = _decode(_read_bytes(path), path, encoding, has_option).replace("\r\n", "\n")
    if "\n" not in text:  # of a Macintosh of long ago, or of a single line
        text = text.replace("\r", "\n")
    return text.split("\n")


def is_valid(text: str) -> bool:
    """Whether no byte of it was undecodable."""
    return text.isascii() or not re.search("[\ud800-\udfff]", text)


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: does not exist; is this the right corpus?") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None


def _decode(data: bytes, path: Path, encoding: str | None, has_option: bool = False) -> str:
    found = encoding or _recognise(data)
    try:
        return data.decode(found)
    except LookupError:
        raise DataError(
            f"{path}: {encoding!r} is no encoding; use for example utf-8, cp1252 or utf-16"
        ) from None
    except UnicodeDecodeError as error:
        if found != "utf-8":
            line = data.count(b"\n", 0, error.start) + 1
            raise DataError(f"{path}: is not {found} text (line {line}); name another --encoding") from None
    lines = data.split(b"\n")
    bad = [number for number, line in enumerate(lines, 1) if not _is_utf8(line)]
    if len(bad) > max(1, MAX_INVALID_FRACTION * len(lines)):
        remedy = "name its encoding, such as --encoding cp1252" if has_option else "convert it with iconv"
        raise DataError(
            f"{path}: is not UTF-8 text (line {bad[0]} and {len(bad) - 1} more); save it as UTF-8, or {remedy}"
        )
    return data.decode("utf-8", errors="surrogateescape")


def _recognise(data: bytes) -> str:
    """By the byte order mark; without one by the zero bytes that UTF-16 has in every other place."""
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if data.startswith(mark):
            return encoding
    sample = data[:4000]
    for encoding, zeros, letters in (
        ("utf-16-le", sample[1::2], sample[::2]),
        ("utf-16-be", sample[::2], sample[1::2]),
    ):
        if len(zeros) > 1 and zeros.count(0) > len(zeros) / 2 and letters.count(0) < len(letters) / 10:
            return encoding
    return "utf-8"


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
