"""Entries -> checked utterances -> manifests: every file is opened, what cannot be used is dropped with its reason."""

import logging
import os
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from asrattn import manifest
from asrattn.audio import AudioInfo
from asrattn.errors import DataError, ManifestError
from asrattn.manifest import Utterance
from asrattn.part import WHOLE, Part
from data_prep import opened
from data_prep.entries import SPLITS, Entry

log = logging.getLogger(__name__)

DROPPED = "dropped.tsv"
OVERSHOOT = (
    0.5  # seconds a segment may end behind its file: rounding in published lists, as Kaldi tolerates it
)

Splits = dict[str, list[Utterance]]


@dataclass(frozen=True)
class Options:
    """What can be asked for with any corpus.

    lower, upper, strip_punctuation   changes to the transcripts, in this order; none: as published
    quick   read only the headers of sound files: quicker, but truncated and NaN audio may pass
    jobs    files opened at the same time
    seed    of everything drawn: held-out speakers, made speech
    part    of the files to be opened now, and nothing else; WHOLE prepares the corpus
    """

    lower: bool = False
    upper: bool = False
    strip_punctuation: bool = False
    quick: bool = False
    jobs: int = os.cpu_count() or 1
    seed: int = 0
    part: Part = WHOLE


AS_PUBLISHED = Options()


class PartDone(Exception):  # noqa: N818 (no error)
    """A part of the files was opened, which ends this run; a later one prepares the corpus."""


class Dropped(NamedTuple):
    """An entry that did not become an utterance."""

    split: str
    id: str
    audio: Path
    reason: str


@contextmanager
def writing(dest: Path) -> Iterator[None]:
    """Turn what the system says about writing below `dest` into one DataError."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{dest}: cannot be written ({error.strerror}); free it or name another DEST"
        ) from None


def open_dest(dest: Path) -> Path:
    """Make the folder, see that it can be written before the long work, and return it free of links.

    Links must go: a path with .. climbs from where a folder really is.
    """
    with writing(dest):
        dest.mkdir(parents=True, exist_ok=True)
        dest = dest.resolve()
        _write_dropped(dest, [])
    return dest


def check(dest: Path, listed: Mapping[str, Sequence[Entry]], options: Options) -> Splits:
    """Open every sound once, in parallel: utterances in the order of the lists; DEST/dropped.tsv says what is left out.

    Raises ManifestError where an id stands twice, in one split or in two, and DataError where nothing can be used;
    PartDone where only a part of the files is to be opened.
    """
    _check_ids(listed)
    files = dict.fromkeys(e.audio for entries in listed.values() for e in entries if not e.fault)
    if options.part != WHOLE:
        with writing(dest):
            count = opened.some(dest, list(files), options.quick, options.jobs, options.part)
        raise PartDone(f"{count} of {len(files)} files opened; after all parts, run it again without --shard")
    sounds = opened.everything(dest, list(files), options.quick, options.jobs)
    splits: Splits = {name: [] for name in listed}
    dropped = []
    for name, entries in listed.items():
        for entry in entries:
            made = _utterance(entry, sounds, options)
            if isinstance(made, Utterance):
                splits[name].append(made)
            else:
                dropped.append(Dropped(name, entry.id, entry.audio, made))
    with writing(dest):
        _write_dropped(dest, dropped)
    if not any(splits.values()):
        why = f"; {len(dropped)} were dropped, the first because: {dropped[0].reason}" if dropped else ""
        raise DataError(f"no usable utterance{why} (all of them in {dest / DROPPED})")
    return splits


def write(dest: Path, splits: Splits) -> dict[str, Path]:
    """DEST/<split>.jsonl for every split that holds something.

    A train, dev or test manifest of an earlier preparation that this one does not make is removed: its utterances
    may stand in another split now. Raises DataError where `dest` cannot be written.
    """
    paths = {}
    with writing(dest):
        for name in dict.fromkeys((*SPLITS, *splits)):
            if splits.get(name):
                paths[name] = dest / f"{name}.jsonl"
                manifest.write(paths[name], splits[name])
        for name in SPLITS:
            if name not in paths:
                log.warning("no %s.jsonl: nothing is in that split", name)
                (dest / f"{name}.jsonl").unlink(missing_ok=True)
    return paths


def clean(text: str, options: Options) -> str:
    """The transcript as published, white space made single, then what the options ask for."""
    if options.lower:
        text = text.lower()
    if options.upper:
        text = text.upper()
    if options.strip_punctuation:
        text = "".join(_bare(text))
    return " ".join(text.split())


def _bare(text: str) -> Iterator[str]:
    """Punctuation becomes a space, except an apostrophe or a hyphen between two letters (don't, thirty-one)."""
    for before, char, after in zip(" " + text, text, text[1:] + " ", strict=False):
        inside = char in "'’-" and before.isalnum() and after.isalnum()
        yield " " if unicodedata.category(char).startswith("P") and not inside else char


def _check_ids(listed: Mapping[str, Sequence[Entry]]) -> None:
    seen: dict[str, tuple[str, Entry]] = {}
    for name, entries in listed.items():
        for entry in entries:
            if entry.id in seen:
                split, other = seen[entry.id]
                raise ManifestError(
                    f"id {entry.id!r} stands twice, for {other.audio} ({split}) and {entry.audio} ({name}); "
                    "ids must differ, so rename or remove one"
                )
            seen[entry.id] = name, entry


def _utterance(entry: Entry, sounds: Mapping[Path, AudioInfo | str], options: Options) -> Utterance | str:
    """The utterance, or the reason why there is none."""
    if entry.fault:
        return entry.fault
    sound = sounds[entry.audio]
    if isinstance(sound, str):
        return sound
    text = clean(entry.text, options)
    if not text:
        return "its transcript is empty"
    start, end = entry.start or 0.0, sound.seconds if entry.end is None else entry.end
    if not 0 <= start < end:
        return f"its segment from {start} to {end} seconds is empty"
    if end > sound.seconds + OVERSHOOT or start >= sound.seconds:
        return f"its segment ends at {end} seconds, its file {entry.audio.name} at {sound.seconds:.2f}"
    seconds = round(min(end, sound.seconds) - start, 4)
    return Utterance(entry.id, str(entry.audio), text, seconds, entry.speaker, entry.start)


def _write_dropped(dest: Path, dropped: Iterable[Dropped]) -> None:
    rows = ["split\tid\taudio\treason\n"]
    rows += ["\t".join(" ".join(str(field).split()) for field in row) + "\n" for row in dropped]
    (dest / DROPPED).write_text("".join(rows), encoding="utf-8")
