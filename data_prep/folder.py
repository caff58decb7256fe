"""Own recordings: audio files next to text files of the same name, or listed in a table (.csv, .tsv)."""

import logging
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from asrattn import audio
from asrattn.audio import walker
from asrattn.errors import DataError
from data_prep import build, split
from data_prep.build import DEFAULT_OPTIONS, PrepOptions
from data_prep.entries import SPLITS, CorpusEntry, read_table, read_text, require_columns, require_folder

log = logging.getLogger(__name__)

_LOSSLESS = (".wav", ".flac")  # of two recordings of one name, the one that is taken
_NAMES = {
    "train": "train",
    "training": "train",
    "dev": "dev",
    "valid": "dev",
    "validation": "dev",
    "val": "dev",
    "test": "test",
}


@dataclass(frozen=True)
class TableColumns:
    """Which columns of a table hold what; the paths in it are relative to the folder of recordings."""

    path: Path
    audio: str = "audio"
    text: str = "text"
    speaker: str | None = None
    split: str | None = None


def prepare(
    source: Path,
    dest: Path,
    options: PrepOptions = DEFAULT_OPTIONS,
    table_columns: TableColumns | None = None,
    dev_share: float = 0.1,
    test_share: float = 0.1,
) -> dict[str, Path]:
    """Manifests of a folder of recordings, split by speakers where they are known and by utterances elsewhere.

    table_columns  None: every audio file below `source` has its text in a .txt next to it; the speaker is the name of
                 the folder it lies in, and folders train, dev, test directly in `source` are taken as the splits
    dev_share, test_share   share of the utterances held out where no such split is given
    """
    dest = build.open_dest(dest)
    source = require_folder(source)
    entries = (
        _read_table_entries(source, table_columns)
        if table_columns
        else _scan_folder(source, options.untranscribed)
    )
    splits = build.build_splits(dest, entries, options)
    shares = {"dev": dev_share, "test": test_share}
    return build.write_manifests(dest, split.hold_out_shares(splits, shares, options.seed))


def _scan_folder(source: Path, untranscribed: bool) -> dict[str, list[CorpusEntry]]:
    found = walker.find_files(source)
    sounds = found.select(audio.EXTENSIONS)
    texts = {_stem(path): path for path in found.files if path.suffix.lower() == ".txt"}
    if found.passed_over:
        log.warning("%s: passed over: %s", source, found.describe_passed_over())
    if not sounds:
        raise DataError(f"{source}: holds no audio file; known are {' '.join(sorted(audio.EXTENSIONS))}")
    entries: dict[str, list[CorpusEntry]] = {name: [] for name in SPLITS}
    kept: dict[str, Path] = {}
    for path in sorted(sounds, key=lambda path: (path.suffix.lower() not in _LOSSLESS, path)):
        if (other := kept.setdefault(_stem(path), path)) != path:
            reason = f"{other.name}, of the same name, is taken"
            entry = CorpusEntry(walker.id_below(path, source) + path.suffix, path, "", drop_reason=reason)
        else:
            entry = _paired_entry(path, source, texts.get(_stem(path)), untranscribed)
        entries[_split(path.relative_to(source))].append(entry)
    for listed in entries.values():
        listed.sort(key=lambda entry: entry.audio)
    fault = "it is a text without an audio file of the same name"
    for stem in sorted(texts.keys() - kept.keys()):
        path = texts[stem]
        entries[_split(path.relative_to(source))].append(
            CorpusEntry(path.relative_to(source).as_posix(), path, "", drop_reason=fault)
        )
    return entries


def _paired_entry(path: Path, source: Path, words: Path | None, untranscribed: bool) -> CorpusEntry:
    """The recording with the text next to it; without one it is kept if `untranscribed`."""
    id_ = walker.id_below(path, source)
    speaker = _speaker(Path(id_))
    if words is None and untranscribed:
        return CorpusEntry(id_, path, "", speaker)
    if words is None:
        return CorpusEntry(id_, path, "", drop_reason="there is no .txt of the same name next to it")
    try:
        return CorpusEntry(id_, path, read_text(words), speaker)
    except DataError as error:
        return CorpusEntry(id_, path, "", drop_reason=str(error))


def _stem(path: Path) -> str:
    """The path without its suffix, its letters composed: some systems take é apart, others do not."""
    return unicodedata.normalize("NFC", str(path.with_suffix("")))


def _split(path: Path) -> str:
    return _NAMES.get(path.parts[0].lower(), "train") if len(path.parts) > 1 else "train"


def _speaker(path: Path) -> str:
    """The folder a recording lies in, unless that is the folder of a split."""
    name = path.parent.name
    return "" if name.lower() in _NAMES else name


def _read_table_entries(source: Path, listed: TableColumns) -> dict[str, list[CorpusEntry]]:
    path = listed.path if listed.path.exists() else source / listed.path
    rows = read_table(path)
    require_columns(path, rows, listed.audio, listed.text, *filter(None, (listed.speaker, listed.split)))
    entries: dict[str, list[CorpusEntry]] = {name: [] for name in SPLITS}
    for number, row in enumerate(rows, 2):
        name = row[listed.split] if listed.split else "train"
        if name.lower() not in _NAMES:
            raise DataError(f"{path}:{number}: split {name!r} is none of {', '.join(_NAMES)}")
        entries[_NAMES[name.lower()]].append(_row(source, row, number, listed))
    return entries


def _row(source: Path, row: dict[str, str], number: int, listed: TableColumns) -> CorpusEntry:
    path = Path(row[listed.audio])
    if not path.name:
        return CorpusEntry(f"line {number}", source, "", drop_reason=f"its column {listed.audio!r} is empty")
    speaker = row[listed.speaker] if listed.speaker else _speaker(path)
    return CorpusEntry(path.with_suffix("").as_posix(), source / path, row[listed.text], speaker)
