"""Audio files by the names that lists give them: with backslashes, without suffix, in wavs/, from another machine."""

import os
import re
import unicodedata
from pathlib import Path

from asrattn import audio

AUDIO_FOLDERS = ("wavs", "wav", "clips", "audio")  # below the folder of a list, where corpora keep recordings


class AudioFinder:
    """Finds files below some folders, the first of them first. Each folder is read once.

    Case and Unicode form of a name do not matter where only one file has it so.
    """

    def __init__(self, *roots: Path) -> None:
        self.roots = [*roots, *(root / name for root in roots for name in AUDIO_FOLDERS)]
        self._listings: dict[Path, dict[str, list[str]]] = {}
        self._elsewhere: int | None = None  # leading parts of absolute paths that are of another machine

    def find(self, name: str) -> Path:
        """The file, or the path where it was expected, which does not exist.

        An absolute path of another machine is looked for below the folders: its beginning is replaced, by the same
        for all names.
        """
        name = name.strip()
        forward = name.replace("\\", "/")
        for spelling in dict.fromkeys((name, forward)):
            for root in self.roots:
                if found := self._exists(root / spelling):
                    return found
        if forward.startswith("/") or re.match(r"[A-Za-z]:/", forward):
            return self._find_moved(forward) or self.roots[0] / name
        return self.roots[0] / name

    def has(self, name: str) -> bool:
        """Whether there is a file of this name."""
        return bool(name.strip()) and os.path.isfile(self.find(name))  # noqa: PTH113 (no error for odd names)

    def _find_moved(self, name: str) -> Path | None:
        parts = [part for part in name.split("/") if part]
        skips = range(1, len(parts)) if self._elsewhere is None else [self._elsewhere]
        for skip in skips:
            for root in self.roots:
                if len(parts) > skip and (found := self._exists(root.joinpath(*parts[skip:]))):
                    self._elsewhere = skip
                    return found
        return None

    def _exists(self, path: Path) -> Path | None:
        """The file of this name; or that with a suffix too; or the only one of another case or Unicode form."""
        name = path.name
        alike = self._list(path.parent).get(_key(name), [])
        if name in alike:
            return path
        same_stem = sorted(each for each in alike if os.path.splitext(each)[0] == name)  # noqa: PTH122
        found = same_stem[:1] or (alike if len(alike) == 1 else [])
        return path.with_name(found[0]) if found else None

    def _list(self, folder: Path) -> dict[str, list[str]]:
        """Names by their keys, those of audio also by their keys without suffix."""
        if folder not in self._listings:
            listing: dict[str, list[str]] = {}
            try:
                names = os.listdir(folder)  # noqa: PTH208 (names alone, a hundred thousand of them)
            except (OSError, ValueError):
                names = []
            for name in names:
                stem, suffix = os.path.splitext(name)  # noqa: PTH122
                listing.setdefault(_key(name), []).append(name)
                if suffix.lower() in audio.EXTENSIONS:
                    listing.setdefault(_key(stem), []).append(name)
            self._listings[folder] = listing
        return self._listings[folder]


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def utterance_id(name: str) -> str:
    """The id of a recording from the name that a list gives it: its path without the suffix of audio."""
    path = name.strip().replace("\\", "/").removeprefix("./")
    stem, dot, suffix = path.rpartition(".")
    return stem if dot and stem and f".{suffix.lower()}" in audio.EXTENSIONS else path
