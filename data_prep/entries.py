"""Entries of a corpus's lists, before any audio is opened."""

from pathlib import Path
from typing import NamedTuple

from asrattn.errors import DataError

SPLITS = ("train", "dev", "test")


class CorpusEntry(NamedTuple):
    """One line of a corpus: an utterance to be, still unchecked.

    start, end   the stretch of the file in seconds; None: from its beginning, to its end
    drop_reason  why it cannot be used, where the lists alone show it; "" otherwise
    where        file and line that list it, such as list.csv:7; "" if none does
    channel      the only channel that is meant, from 1; None: all of them
    """

    id: str
    audio: Path
    text: str
    speaker: str = ""
    start: float | None = None
    end: float | None = None
    drop_reason: str = ""
    where: str = ""
    channel: int | None = None


def require_folder(path: Path) -> Path:
    """`path`, absolute, if it is a folder. Raises DataError."""
    if not path.exists():
        raise DataError(f"{path}: does not exist; name the folder of the corpus")
    if not path.is_dir():
        raise DataError(f"{path}: is no folder; name the folder of the corpus")
    return path.resolve()
