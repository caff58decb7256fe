"""Manifests of other toolkits -> manifests: NeMo, Hugging Face, SpeechBrain, WeNet, DeepSpeech and the like.

JSON lines, JSON or tables, each row with the path of an audio file and its text. A row with an offset is a segment.
"""

import re
from dataclasses import replace
from pathlib import Path

from asrattn.audio import walker
from asrattn.errors import DataError
from data_prep import build, split
from data_prep.audio_finder import AudioFinder
from data_prep.build import DEFAULT_OPTIONS, PrepOptions
from data_prep.entries import require_folder
from data_prep.table import JSON_SUFFIXES, read_table
from data_prep.table_entries import SPLIT_NAMES, Entries, TableColumns, merge, table_entries

_SUFFIXES = (*JSON_SUFFIXES, ".csv", ".tsv")


def prepare(
    source: Path,
    dest: Path,
    options: PrepOptions = DEFAULT_OPTIONS,
    columns: TableColumns | None = None,
    root: Path | None = None,
    dev_share: float = 0.1,
    test_share: float = 0.1,
) -> dict[str, Path]:
    """Manifests of one foreign manifest, or of a folder of them.

    source   a file; or a folder with train.json, dev.csv, test_manifest.jsonl and the like, or with metadata.csv or
             metadata.jsonl in it or in its folders train, validation, test
    columns  which columns hold what; its path is not used
    root     what relative paths are relative to; None: the manifest's folder, or else those above it
    dev_share, test_share   share of the utterances held out, by speakers, where there is no such split
    """
    dest = build.open_dest(dest)
    parts = {}
    for path, name in _find(source).items():
        here = path.absolute().parent
        finder = AudioFinder(*([require_folder(root)] if root else [here, *list(here.parents)[:-1]]))
        wanted = replace(columns, path=path) if columns else TableColumns(path)
        parts[path] = table_entries(read_table(path, wanted.form), wanted, finder, name, own_ids=True)
    splits = build.build_splits(dest, merge(_with_distinct_ids(parts)), options)
    return build.write_manifests(dest, split.fill_empty(splits, dev_share, test_share, options.seed))


def _find(source: Path) -> dict[Path, str]:
    """The manifests and their splits. Raises DataError if there is none."""
    if source.is_file():
        return {source: _split(source.stem) or "train"}
    source = require_folder(source)
    files = [path for path in sorted(source.glob("*")) if path.suffix.lower() in _SUFFIXES]
    found = {path: name for path in files if (name := _split(path.stem))}
    if not found:
        below = walker.find_files(source).select(_SUFFIXES)
        metadata = [path for path in below if path.stem == "metadata"]
        found = {path: _split(path.parent.name) or "train" for path in metadata}
    if not found and len(files) == 1:
        found = {files[0]: "train"}
    if not found:
        raise DataError(
            f"{source}: holds no manifest named after train, dev or test and no metadata file "
            f"({', '.join(_SUFFIXES)}); name one file"
        )
    return found


def _split(name: str) -> str:
    """The split that one of the words of a name stands for: dev of an4_val_manifest; "" if none does."""
    words = re.split(r"[^a-z]+", name.lower())
    return next((SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES), "")


def _with_distinct_ids(parts: dict[Path, Entries]) -> list[Entries]:
    """The entries; where manifests give one id to different recordings, all ids begin with the manifest's name."""
    audio_by_id: dict[str, Path] = {}
    pairs = [
        (e.id, e.audio) for part in parts.values() for es in part.values() for e in es if not e.drop_reason
    ]
    if all(audio_by_id.setdefault(id_, audio) == audio for id_, audio in pairs) or len(parts) == 1:
        return list(parts.values())
    names = {path: path.parent.name if path.stem == "metadata" else path.stem for path in parts}
    return [
        {split: [e._replace(id=f"{names[path]}/{e.id}") for e in es] for split, es in part.items()}
        for path, part in parts.items()
    ]
