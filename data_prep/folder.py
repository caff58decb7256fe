"""Own recordings: audio files next to text files of the same name, or listed in a table (.csv, .tsv, .jsonl)."""

import shlex
from pathlib import Path

from asrattn import audio
from asrattn.errors import DataError
from data_prep import build, split
from data_prep.audio_finder import AudioFinder
from data_prep.build import DEFAULT_OPTIONS, PrepOptions
from data_prep.entries import SPLITS, CorpusEntry, require_folder
from data_prep.table import read_table
from data_prep.table_entries import TableColumns, speaker_of, split_of, table_entries
from data_prep.text_files import read_text

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
    files = [path for path in sorted(source.rglob("*")) if path.is_file()]
    sounds = [path for path in files if path.suffix.lower() in audio.EXTENSIONS]
    texts = {path.with_suffix(""): path for path in files if path.suffix.lower() == ".txt"}
    if not sounds:
        raise DataError(f"{source}: holds no audio file; known are {' '.join(sorted(audio.EXTENSIONS))}")
    if not untranscribed and not any(path.with_suffix("") in texts for path in sounds):
        _point_to_importer(source, files)
    entries: dict[str, list[CorpusEntry]] = {name: [] for name in SPLITS}
    for path in sounds:
        entry = _paired_entry(path, source, texts.get(path.with_suffix("")), untranscribed, encoding)
        entries[split_of(path.relative_to(source))].append(entry)
    fault = "it is a text without an audio file of the same name"
    for stem in sorted(texts.keys() - {path.with_suffix("") for path in sounds}):
        path = texts[stem]
        entries[split_of(path.relative_to(source))].append(
            CorpusEntry(path.relative_to(source).as_posix(), path, "", drop_reason=fault)
        )
    return entries


def _paired_entry(
    path: Path, source: Path, words: Path | None, untranscribed: bool, encoding: str | None
) -> CorpusEntry:
    """The recording with the text next to it; without one it is kept if `untranscribed`."""
    id_ = path.with_suffix("").relative_to(source)
    if words is None and untranscribed:
        return CorpusEntry(id_.as_posix(), path, "", speaker_of(id_))
    if words is None:
        return CorpusEntry(
            id_.as_posix(), path, "", drop_reason="there is no .txt of the same name next to it"
        )
    try:
        return CorpusEntry(id_.as_posix(), path, read_text(words, encoding), speaker_of(id_))
    except DataError as error:
        return CorpusEntry(id_.as_posix(), path, "", drop_reason=str(error))


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
