"""Files in a folder and the folders below it: the one walk of transcribe, data_prep and noise folders.

Symbolic links are followed, each real folder is entered once. Names that begin with a dot, and folders that systems
keep for themselves (trash, previews, AppleDouble), are passed over; what is passed over is counted.
"""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from asrattn import files
from asrattn.audio.containers.formats import EXTENSIONS

_SYSTEM_FOLDERS = frozenset(
    (
        "__MACOSX",
        "@eaDir",
        "#recycle",
        "#snapshot",
        "$RECYCLE.BIN",
        "RECYCLER",
        "System Volume Information",
        "lost+found",
    )
)
# Suffixes that lie beside recordings and hold no audio: not worth a word.
_COMPANIONS = re.compile(
    r"\.(txt|jsonl?|tsv|csv|srt|vtt|ctm|stm|textgrid|lab|trn|eaf|trs|xml|html|md|pdf|log|ya?ml|py|sh|tar|gz|zip|scp"
    r"|docx?|xlsx?|jpe?g|png|m3u|cue|md5|sha1|part)"
)


@dataclass
class FoundFiles:
    """The files of a folder, sorted by their paths, and how many of which kind were passed over."""

    files: list[Path] = field(default_factory=list)
    passed_over: Counter[str] = field(default_factory=Counter)

    def select(self, suffixes: Collection[str]) -> list[Path]:
        """The files with one of these suffixes, in any case; the others are passed over."""
        chosen = []
        for path in self.files:
            suffix = path.suffix.lower()
            if suffix in suffixes:
                chosen.append(path)
            elif not _COMPANIONS.fullmatch(suffix):
                self.passed_over[suffix or "files without a suffix"] += 1
        return chosen

    def describe_passed_over(self) -> str:
        """Such as "3 hidden files, 1 folder __MACOSX, 2 .wma"; "" for nothing."""
        return ", ".join(f"{count} {kind}" for kind, count in sorted(self.passed_over.items()))


def find_files(folder: Path) -> FoundFiles:
    """All files below a folder.

    Paths lead through the real folder where it is below `folder`, else through a link. Broken links are among them,
    so that the loss is told. Raises OSError if `folder` itself cannot be read.
    """
    found = FoundFiles()
    entered: set[tuple[int, int]] = set()
    waiting, links = [folder], list[Path]()
    os.scandir(folder).close()
    while waiting or links:
        if not waiting:  # the folders behind links come last: they may be among the real ones
            waiting, links = [links.pop(0)], links
        here = waiting.pop()
        if _enter(here, entered, found):
            _read_folder(here, found, waiting, links)
    found.files.sort()
    return found


def _enter(folder: Path, entered: set[tuple[int, int]], found: FoundFiles) -> bool:
    """Whether a folder can be read and was not entered before."""
    try:
        state = folder.stat()
    except OSError:
        found.passed_over["folders that cannot be read"] += 1
        return False
    key = state.st_dev, state.st_ino
    if key in entered:
        return False
    entered.add(key)
    return True


def _read_folder(folder: Path, found: FoundFiles, waiting: list[Path], links: list[Path]) -> None:
    try:
        with os.scandir(folder) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
    except OSError:
        found.passed_over["folders that cannot be read"] += 1
        return
    for entry in listed:
        is_folder = _is_folder(entry)
        if entry.name.startswith("."):
            found.passed_over["hidden folders" if is_folder else "hidden files"] += 1
        elif is_folder and entry.name in _SYSTEM_FOLDERS:
            found.passed_over[f"folders {entry.name}"] += 1
        elif is_folder:
            (links if entry.is_symlink() else waiting).append(Path(entry.path))
        else:
            _add_file(Path(entry.path), found)


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _add_file(path: Path, found: FoundFiles) -> None:
    if path.exists() and not path.is_file():
        found.passed_over["pipes or devices"] += 1
    else:
        found.files.append(path)


def find_audio(folder: Path) -> tuple[list[Path], str]:
    """All files below a folder that are named as audio files are, and in words what was passed over.

    Raises OSError if the folder cannot be read.
    """
    found = find_files(folder)
    return found.select(EXTENSIONS), found.describe_passed_over()


def id_below(path: Path, folder: Path) -> str:
    """The path of a file below a folder, without its suffix, as an id: printable."""
    return files.printable(path.relative_to(folder).with_suffix("").as_posix())


def same_name(path: Path) -> Path | None:
    """The one file beside this path whose name is the same, but for composed and decomposed letters; None without."""
    wanted = unicodedata.normalize("NFC", path.name)
    try:
        names = [
            name
            for name in os.listdir(path.parent)  # noqa: PTH208
            if name != path.name and unicodedata.normalize("NFC", name) == wanted
        ]
    except OSError:
        return None
    return path.with_name(names[0]) if len(names) == 1 else None
