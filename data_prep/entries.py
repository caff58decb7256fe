"""Entries of a corpus's lists, before any audio is opened, and readers for such lists."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from asrattn.errors import DataError

SPLITS = ("train", "dev", "test")


class CorpusEntry(NamedTuple):
    """One line of a corpus: an utterance to be, still unchecked.

    start, end   the stretch of the file in seconds; None: from its beginning, to its end
    fault        why it cannot be used, where the lists alone show it; "" otherwise
    """

    id: str
    audio: Path
    text: str
    speaker: str = ""
    start: float | None = None
    end: float | None = None
    drop_reason: str = ""


def require_folder(path: Path) -> Path:
    """`path`, absolute, if it is a folder. Raises DataError."""
    if not path.exists():
        raise DataError(f"{path}: does not exist; name the folder of the corpus")
    if not path.is_dir():
        raise DataError(f"{path}: is no folder; name the folder of the corpus")
    return path.resolve()


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines of a text file, without the empty ones. Raises DataError."""
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if line.strip():
            yield number, line


def read_text(path: Path) -> str:
    """A whole UTF-8 text file, with or without byte order mark. Raises DataError."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"{path}: does not exist; is this the right corpus?") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: is not UTF-8 text; convert it, for example with iconv") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None


def read_table(path: Path) -> list[dict[str, str]]:
    """Rows of a .csv (quoted fields) or of any other table (tabs, quotes are plain characters). Raises DataError."""
    comma = path.suffix.lower() == ".csv"
    reader = csv.DictReader(
        io.StringIO(read_text(path)),
        delimiter="," if comma else "\t",
        quoting=csv.QUOTE_MINIMAL if comma else csv.QUOTE_NONE,
        strict=True,
    )
    rows = []
    try:
        for row in reader:
            if None in row or None in row.values():
                raise DataError(f"{path}:{reader.line_num}: has another number of columns than the header")
            rows.append(row)
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: is no table ({error})") from None
    if not rows:
        raise DataError(f"{path}: holds no row below its header")
    return rows


def require_columns(path: Path, rows: list[dict[str, str]], *names: str) -> None:
    """Raise DataError unless the table has all these columns."""
    for name in names:
        if name not in rows[0]:
            raise DataError(f"{path}: has no column {name!r}; it has {', '.join(rows[0])}")
