"""Mozilla Common Voice: train.tsv, dev.tsv, test.tsv next to a folder clips/."""

import logging
from pathlib import Path

from asrattn.errors import DataError
from data_prep import build, split
from data_prep.audio_finder import AudioFinder
from data_prep.build import DEFAULT_OPTIONS, PrepOptions
from data_prep.entries import CorpusEntry, require_folder
from data_prep.table import read_table
from data_prep.table_entries import TableColumns, table_entries

log = logging.getLogger(__name__)


def prepare(
    source: Path,
    dest: Path,
    options: PrepOptions = DEFAULT_OPTIONS,
    train: str = "train",
    dev_share: float = 0.0,
    test_share: float = 0.0,
) -> dict[str, Path]:
    """Manifests of the published splits; `source` is the folder of one language (cv-corpus-.../en).

    train    the list to train on, such as validated: clips and speakers of dev and test are left out of it
    dev_share, test_share   share of train held out, by speakers, where a language has no such split
    """
    dest = build.open_dest(dest)
    source = require_folder(source)
    if not (source / "clips").is_dir():
        raise DataError(f"{source}: has no folder clips/; name the folder of one language, where clips/ is")
    names = {"train": train, "dev": "dev", "test": "test"}
    listed = {name: _entries(source, file, required=name == "train") for name, file in names.items()}
    if train != "train":
        listed["train"] = _without_evaluated(listed)
    splits = build.build_splits(dest, listed, options)
    return build.write_manifests(dest, split.fill_empty(splits, dev_share, test_share, options.seed))


def _entries(source: Path, name: str, required: bool) -> list[CorpusEntry]:
    """Those of one list. The lists of small languages may have a header alone, or be absent except for train."""
    path = source / f"{name}.tsv"
    if required and not path.exists() and (source / "validated.tsv").exists():
        raise DataError(f"{path}: does not exist; train on another list, for example with --train validated")
    if not required and not path.exists():
        log.warning("%s: does not exist", path)
        return []
    table = read_table(path)
    if not table.rows:
        log.warning("%s: holds no row below its header", path)
    for column in ("path", "sentence"):
        if column not in table.columns:
            raise DataError(
                f"{path}: has no column {column!r}; it has {', '.join(table.columns)}; read other tables with "
                "python -m data_prep folder --table FILE --audio-column NAME --text-column NAME"
            )
    columns = TableColumns(path, "path", "sentence", "client_id" if "client_id" in table.columns else None)
    entries = table_entries(table, columns, AudioFinder(source / "clips"))["train"]
    return [entry._replace(speaker="") if columns.speaker is None else entry for entry in entries]


def _without_evaluated(listed: dict[str, list[CorpusEntry]]) -> list[CorpusEntry]:
    """What is in train, but neither a clip nor a speaker of dev and test."""
    held = [entry for name in ("dev", "test") for entry in listed[name]]
    ids, speakers = {entry.id for entry in held}, {entry.speaker for entry in held} - {""}
    kept = [e for e in listed["train"] if e.id not in ids and e.speaker not in speakers]
    if len(kept) < len(listed["train"]):
        log.warning(
            "%d rows are left out of train: clips or speakers of dev and test",
            len(listed["train"]) - len(kept),
        )
    return kept
