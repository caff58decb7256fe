"""Own recordings: audio files next to text files of the same name, or listed in a table (.csv, .tsv, .jsonl)."""

import logging
import shlex
import unicodedata
from pathlib import Path

from asrattn import audio
from asrattn.audio import walker
from asrattn.errors import DataError
from data_prep import build, split
from data_prep.audio_finder import AudioFinder
from data_prep.build import DEFAULT_OPTIONS, PrepOptions
from data_prep.entries import SPLITS, CorpusEntry, require_folder
from data_prep.table import read_table
from data_prep.table_entries import TableColumns, speaker_of, split_of, table_entries
from data_prep.text_files import read_text

log = logging.getLogger(__name__)

_LOSSLESS = (".wav", ".flac")  # of two recordings of one name, the one that is taken
# Lists that other layouts have in place of a .txt next to each recording, and how they are read.
_OTHER_LAYOUTS = {
    "*.trans.txt": "python -m data_prep librispeech {source} DEST",
    "wav.scp": "python -m data_prep kaldi {source} DEST",
    "metadata.*": "--table {list}",
    "*manifest*.json*": "python -m data_prep manifest {list} DEST",
    "*.jsonl": "python -m data_prep manifest {list} DEST",
    "validated.tsv": "python -m data_prep commonvoice {source} DEST",
    "*.tsv": "--table {list}",
    "*.csv": "--table {list}",
}


def prepare(
    source: Path,
    dest: Path,
    options: PrepOptions = DEFAULT_OPTIONS,
    table_columns: TableColumns | None = None,
    dev_share: float = 0.1,
    test_share: float = 0.1,
    encoding: str | None = None,
) -> dict[str, Path]:
    """Manifests of a folder of recordings, split by speakers where they are known and by utterances elsewhere.

    table_columns  None: every audio file below `source` has its text in a .txt next to it; the speaker is the name of
                 the folder it lies in, and folders train, dev, test directly in `source` are taken as the splits
    dev_share, test_share   share of the utterances held out where no such split is given
    encoding     of the .txt files; None: UTF-8 or UTF-16
    """
    dest = build.open_dest(dest)
    source = require_folder(source)
    entries = (
        _read_table_entries(source, table_columns)
        if table_columns
        else _scan_folder(source, options.untranscribed, encoding)
    )
    splits = build.build_splits(dest, entries, options)
    shares = {"dev": dev_share, "test": test_share}
    return build.write_manifests(dest, split.hold_out_shares(splits, shares, options.seed))


def _scan_folder(source: Path, untranscribed: bool, encoding: str | None) -> dict[str, list[CorpusEntry]]:
    found = walker.find_files(source)
    sounds = found.select(audio.EXTENSIONS)
    texts = {_stem(path): path for path in found.files if path.suffix.lower() == ".txt"}
    if found.passed_over:
        log.warning("%s: passed over: %s", source, found.describe_passed_over())
    if not sounds:
        raise DataError(f"{source}: holds no audio file; known are {' '.join(sorted(audio.EXTENSIONS))}")
    if not untranscribed and not any(_stem(path) in texts for path in sounds):
        _point_to_importer(source, found.files)
    entries: dict[str, list[CorpusEntry]] = {name: [] for name in SPLITS}
    kept: dict[str, Path] = {}
    for path in sorted(sounds, key=lambda path: (path.suffix.lower() not in _LOSSLESS, path)):
        if (other := kept.setdefault(_stem(path), path)) != path:
            reason = f"{other.name}, of the same name, is taken"
            entry = CorpusEntry(walker.id_below(path, source) + path.suffix, path, "", drop_reason=reason)
        else:
            entry = _paired_entry(path, source, texts.get(_stem(path)), untranscribed, encoding)
        entries[split_of(path.relative_to(source))].append(entry)
    for listed in entries.values():
        listed.sort(key=lambda entry: entry.audio)
    fault = "it is a text without an audio file of the same name"
    for stem in sorted(texts.keys() - kept.keys()):
        path = texts[stem]
        entries[split_of(path.relative_to(source))].append(
            CorpusEntry(path.relative_to(source).as_posix(), path, "", drop_reason=fault)
        )
    return entries


def _paired_entry(
    path: Path, source: Path, words: Path | None, untranscribed: bool, encoding: str | None
) -> CorpusEntry:
    """The recording with the text next to it; without one it is kept if `untranscribed`."""
    id_ = walker.id_below(path, source)
    speaker = speaker_of(Path(id_))
    if words is None and untranscribed:
        return CorpusEntry(id_, path, "", speaker)
    if words is None:
        return CorpusEntry(id_, path, "", drop_reason="there is no .txt of the same name next to it")
    try:
        return CorpusEntry(id_, path, read_text(words, encoding), speaker)
    except DataError as error:
        return CorpusEntry(id_, path, "", drop_reason=str(error))


def _stem(path: Path) -> str:
    """The path without its suffix, its letters composed: some systems take é apart, others do not."""
    return unicodedata.normalize("NFC", str(path.with_suffix("")))


def _point_to_importer(source: Path, files: list[Path]) -> None:
    """Raise DataError if no recording has a text next to it, but there is a list that something else reads."""
    for pattern, command in _OTHER_LAYOUTS.items():
        if found := next((path for path in files if path.match(pattern)), None):
            listed = shlex.quote(str(found))
            remedy = command.format(source=shlex.quote(str(source)), list=listed)
            raise DataError(
                f"{source}: no recording has a .txt of the same name next to it, but there is {found.name}; "
                f"use {remedy}"
            )


def _read_table_entries(source: Path, listed: TableColumns) -> dict[str, list[CorpusEntry]]:
    path = listed.path if listed.path.exists() else source / listed.path
    entries = table_entries(read_table(path, listed.form), listed, AudioFinder(source))
    if not any(entries.values()):
        raise DataError(f"{path}: holds no row below its header")
    return entries
