"""Own recordings: audio files next to text files of the same name, or listed in a table (.csv, .tsv)."""

from dataclasses import dataclass
from pathlib import Path

from asrattn import audio
from asrattn.errors import DataError
from data_prep import build, split
from data_prep.build import DEFAULT_OPTIONS, PrepOptions
from data_prep.entries import SPLITS, CorpusEntry, read_table, read_text, require_columns, require_folder

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
    files = [path for path in sorted(source.rglob("*")) if path.is_file()]
    sounds = [path for path in files if path.suffix.lower() in audio.EXTENSIONS]
    texts = {path.with_suffix(""): path for path in files if path.suffix.lower() == ".txt"}
    if not sounds:
        raise DataError(f"{source}: holds no audio file; known are {' '.join(sorted(audio.EXTENSIONS))}")
    entries: dict[str, list[CorpusEntry]] = {name: [] for name in SPLITS}
    for path in sounds:
        entry = _paired_entry(path, source, texts.get(path.with_suffix("")), untranscribed)
        entries[_split(path.relative_to(source))].append(entry)
    fault = "it is a text without an audio file of the same name"
    for stem in sorted(texts.keys() - {path.with_suffix("") for path in sounds}):
        path = texts[stem]
        entries[_split(path.relative_to(source))].append(
            CorpusEntry(path.relative_to(source).as_posix(), path, "", drop_reason=fault)
        )
    return entries


def _paired_entry(path: Path, source: Path, words: Path | None, untranscribed: bool) -> CorpusEntry:
    """The recording with the text next to it; without one it is kept if `untranscribed`."""
    id_ = path.with_suffix("").relative_to(source)
    if words is None and untranscribed:
        return CorpusEntry(id_.as_posix(), path, "", _speaker(id_))
    if words is None:
        return CorpusEntry(
            id_.as_posix(), path, "", drop_reason="there is no .txt of the same name next to it"
        )
    try:
        return CorpusEntry(id_.as_posix(), path, read_text(words), _speaker(id_))
    except DataError as error:
        return CorpusEntry(id_.as_posix(), path, "", drop_reason=str(error))


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
