"""Rows of a table -> entries: which column holds what, and where the audio lies."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from asrattn.errors import DataError
from data_prep.audio_finder import AUDIO_FOLDERS, AudioFinder, utterance_id
from data_prep.entries import SPLITS, CorpusEntry
from data_prep.table import Row, Table, TableFormat, rows_below

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "dev": "dev",
    "valid": "dev",
    "validation": "dev",
    "val": "dev",
    "test": "test",
}

# Names of columns, in lower case, the first one that a table has. Of NeMo, Hugging Face, Common Voice, DeepSpeech,
# SpeechBrain, WeNet and of people's own tables.
_AUDIO = (
    *("audio", "path", "file", "file_name", "filename", "audio_file", "audio_filepath", "audio_path", "wav"),
    *("wav_filename", "wav_file", "wav_path", "file_path", "filepath", "audio_filename", "clip", "recording"),
)
_TEXT = (
    *(
        "text",
        "sentence",
        "transcript",
        "transcription",
        "normalized_text",
        "normalized_transcription",
        "txt",
    ),
    *("words", "wrd", "utterance", "target_text"),
)
_SPEAKER = ("speaker", "speaker_id", "client_id", "spk", "spk_id", "speaker_name")
_SPLIT = ("split",)
_ID = ("id", "utt_id", "utterance_id", "key", "utt")
_START = ("offset", "start", "start_time", "begin")
_END = ("end", "end_time")
_DURATION = ("duration", "seconds", "length")
_SAMPLE_ROWS = 50

Entries = dict[str, list[CorpusEntry]]  # by split


@dataclass(frozen=True)
class TableColumns:
    """A table, and which of its columns hold what: by name, or by number from 1; None: found by the usual names.

    Paths in it are relative to the folder of recordings.
    """

    path: Path
    audio: str | None = None
    text: str | None = None
    speaker: str | None = None
    split: str | None = None
    form: TableFormat = field(default_factory=TableFormat)


@dataclass(frozen=True)
class _Places:
    """The number of each column, from 0; None: the table does not have it."""

    audio: int
    text: int
    speaker: int | None = None
    split: int | None = None
    id: int | None = None
    start: int | None = None
    end: int | None = None
    duration: int | None = None


def table_entries(
    table: Table, wanted: TableColumns, finder: AudioFinder, split: str = "train", own_ids: bool = False
) -> Entries:
    """The entries of a table, by split; rows that cannot be used have their reason.

    split    of the rows, where no column names one and no path begins with one
    own_ids  take ids from a column, and the segments of recordings, as manifests have them
    Raises DataError if a column is missing.
    """
    has_header = table.first is None or any(_name(c) in (*_AUDIO, *_TEXT) for c in table.columns)
    has_header = has_header or any(
        not name.isdigit() and name in table.columns for name in (wanted.audio, wanted.text) if name
    )
    if has_header and table.first and table.first.fault:
        raise DataError(f"{table.first.where}: {table.first.fault}; mend the header, or name the --delimiter")
    rows = list(rows_below(table, has_header))
    if not has_header:
        width = max((len(row.cells) for row in rows if not row.fault), default=0)
        if not width:
            raise DataError(f"{table.path}: no row can be read; {rows[0].where}: {rows[0].fault}")
        table = replace(table, columns=table.columns if len(table.columns) == width else [""] * width)
    places = _places(table, rows, wanted, finder, has_header, own_ids)
    entries: Entries = {name: [] for name in SPLITS}
    for row in rows:
        name, entry = _entry(row, places, table, finder, split)
        entries[name].append(entry)
    return entries


def _name(column: str) -> str:
    return "_".join(column.casefold().replace("-", " ").replace("_", " ").split())


def _places(
    table: Table,
    rows: Sequence[Row],
    wanted: TableColumns,
    finder: AudioFinder,
    has_header: bool,
    own_ids: bool,
) -> _Places:
    good = [row for row in rows if not row.fault][:_SAMPLE_ROWS]
    if not has_header and not (wanted.audio and wanted.text):
        return _guess_places(table, good, wanted, finder)

    def place(option: str, name: str | None, usual: Sequence[str]) -> int | None:
        return _place(table, option, name, usual, has_header)

    audio, text = place("audio", wanted.audio, _AUDIO), place("text", wanted.text, _TEXT)
    if audio is None or text is None:
        missing = "audio" if audio is None else "text"
        listed = ", ".join(table.columns) or "none"
        raise DataError(
            f"{table.path}: has no column {missing!r}; it has {listed}; name it with --{missing}-column"
        )
    split = place("split", wanted.split, _SPLIT)
    if not wanted.split and not any(row.cells[split].lower() in SPLIT_NAMES for row in good if split):
        split = None  # of another meaning
    speaker = place("speaker", wanted.speaker, _SPEAKER)
    if not own_ids:
        return _Places(audio, text, speaker, split)
    more = (place("", None, usual) for usual in (_ID, _START, _END, _DURATION))
    return _Places(audio, text, speaker, split, *more)


def _place(table: Table, option: str, name: str | None, usual: Sequence[str], has_header: bool) -> int | None:
    """Raises DataError where a column that was asked for is not there."""
    if name is None:
        names = [_name(column) for column in table.columns] if has_header else []
        return next((names.index(each) for each in usual if each in names), None)
    if has_header and name in table.columns:
        if table.columns.count(name) > 1:
            raise DataError(f"{table.path}: has two columns {name!r}; name it by its number, from 1")
        return table.columns.index(name)
    if name.isdigit() and 1 <= int(name) <= len(table.columns):
        return int(name) - 1
    listed = ", ".join(table.columns) if has_header else f"no header and {len(table.columns)} columns"
    raise DataError(f"{table.path}: has no column {name!r}; it has {listed} (--{option}-column)")


def _guess_places(table: Table, rows: Sequence[Row], wanted: TableColumns, finder: AudioFinder) -> _Places:
    """Of a table without header, as LJSpeech's: audio is what names files, the text is the longest of the others."""
    numbers = range(len(table.columns))
    audio = _place(table, "audio", wanted.audio, (), has_header=False)
    if audio is None:
        found = {n: sum(finder.has(row.cells[n]) for row in rows) for n in numbers}
        audio = max(found, key=lambda n: found[n])
        if not found[audio]:
            raise DataError(
                f"{table.path}: has no column 'audio'; it has {', '.join(table.columns)}; name it with "
                "--audio-column, without a header by its number from 1"
            )
    text = _place(table, "text", wanted.text, (), has_header=False)
    if text is None:
        lengths = {n: sum(len(row.cells[n]) for row in rows) for n in numbers if n != audio}
        longest = max(lengths.values(), default=0)
        alike = [n for n, length in lengths.items() if longest and length > 0.7 * longest]
        if not alike:
            raise DataError(f"{table.path}: has no column 'text'; name it with --text-column, by its number")
        text = alike[-1]  # of two writings of one text the last is the spoken one
    speaker, split = (
        _place(table, option, name, (), has_header=False)
        for option, name in (("speaker", wanted.speaker), ("split", wanted.split))
    )
    return _Places(audio, text, speaker, split)


def _entry(
    row: Row, places: _Places, table: Table, finder: AudioFinder, split: str
) -> tuple[str, CorpusEntry]:
    """The split, and the entry, with its reason if it cannot be used."""

    def cell(place: int | None) -> str:
        return "" if place is None else row.cells[place].strip()

    def bad(reason: str) -> CorpusEntry:
        return CorpusEntry(f"line {row.number}", table.path, "", drop_reason=reason, where=row.where)

    if row.fault:
        return split, bad(row.fault)
    name = cell(places.audio)
    if not name or "\0" in name:
        return split, bad(f"its column {table.columns[places.audio]!r} is empty or no path")
    listed = utterance_id(name)
    if places.split is not None:
        if cell(places.split).lower() not in SPLIT_NAMES:
            return split, bad(f"split {cell(places.split)!r} is none of {', '.join(SPLIT_NAMES)}")
        split = SPLIT_NAMES[cell(places.split).lower()]
    else:
        split = split_of(PurePosixPath(listed), split)
    try:
        start, end = _segment(cell(places.start), cell(places.end), cell(places.duration))
    except ValueError as error:
        return split, bad(f"{error} is no time in seconds")
    id_ = cell(places.id) or (listed if start is None else f"{listed}-{start:g}")
    speaker = cell(places.speaker) if places.speaker is not None else speaker_of(PurePosixPath(listed))
    sound = finder.find(name)
    return split, CorpusEntry(id_, sound, cell(places.text), speaker, start, end, where=row.where)


def _segment(start: str, end: str, duration: str) -> tuple[float | None, float | None]:
    """Start and end in seconds; without a start a recording is taken whole. Raises ValueError."""
    if not start:
        return None, None
    begin = _seconds(start)
    if end:
        return begin, _seconds(end)
    return begin, begin + _seconds(duration) if duration else None


def _seconds(text: str) -> float:
    try:
        return float(text.replace(",", "."))
    except ValueError:
        raise ValueError(repr(text)) from None


def split_of(path: PurePosixPath | Path, default: str = "train") -> str:
    """The split that the first folder of a path names."""
    return SPLIT_NAMES.get(path.parts[0].lower(), default) if len(path.parts) > 1 else default


def speaker_of(path: PurePosixPath | Path) -> str:
    """The folder that a recording lies in, unless it is that of a split or of all recordings."""
    name = path.parent.name
    return "" if name.lower() in SPLIT_NAMES or name.lower() in AUDIO_FOLDERS else name


def merge(parts: Sequence[Entries]) -> Entries:
    """The entries of several tables, by split."""
    return {name: [entry for part in parts for entry in part[name]] for name in SPLITS}
