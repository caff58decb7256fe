"""LibriSpeech (OpenSLR 12) and corpora with its layout: <part>/<speaker>/<chapter>/*.flac next to *.trans.txt."""

from collections.abc import Sequence
from pathlib import Path

from asrattn.errors import DataError
from data_prep import build
from data_prep.build import DEFAULT_OPTIONS, PrepOptions, Splits
from data_prep.entries import CorpusEntry, read_lines, require_folder

_MERGED_PARTS = {"train": "train-", "dev": "dev-clean", "test": "test-clean"}


def prepare(
    source: Path, dest: Path, options: PrepOptions = DEFAULT_OPTIONS, train: Sequence[str] = ()
) -> dict[str, Path]:
    """A manifest for each part that is there, and train (all train-*), dev (dev-clean), test (test-clean).

    source   the folder of the parts, or the one above it
    train    the only training parts to be taken, such as train-clean-100; none named: all
    """
    dest = build.open_dest(dest)
    root = _root(require_folder(source))
    found = {part.name: part for part in _parts(root)}
    if absent := [name for name in train if name not in found]:
        raise DataError(f"{root}: has no folder {absent[0]}; it has {', '.join(found)}")
    if train:
        found = {name: p for name, p in found.items() if name in train or not name.startswith("train-")}
    parts = {name: _entries(part) for name, part in found.items()}
    splits = build.build_splits(dest, parts, options)
    return build.write_manifests(dest, {**_merge_parts(splits), **splits})


def _root(source: Path) -> Path:
    for root in (source, source / "LibriSpeech"):
        if _parts(root):
            return root
    raise DataError(f"{source}: has no folder train-*, dev-* or test-*; name the folder LibriSpeech/")


def _parts(root: Path) -> list[Path]:
    return sorted(
        p for p in root.glob("*-*") if p.is_dir() and p.name.startswith(("train-", "dev-", "test-"))
    )


def _merge_parts(parts: Splits) -> Splits:
    return {
        name: [u for part, utterances in parts.items() if part.startswith(prefix) for u in utterances]
        for name, prefix in _MERGED_PARTS.items()
    }


def _entries(part: Path) -> list[CorpusEntry]:
    entries = []
    sounds = {path.stem: path for path in sorted(part.glob("*/*/*.flac"))}
    for path in sorted(part.glob("*/*/*.trans.txt")):
        speaker = path.parent.parent.name
        for _, line in read_lines(path):
            id_, _, text = line.partition(" ")
            sound = sounds.pop(id_, path.parent / f"{id_}.flac")
            entries.append(CorpusEntry(id_, sound, text, speaker))
    if not entries:
        raise DataError(f"{part}: has no <speaker>/<chapter>/*.trans.txt; was the archive unpacked whole?")
    fault = "no .trans.txt has a line for it"
    return entries + [
        CorpusEntry(id_, sound, "", sound.parent.parent.name, drop_reason=fault)
        for id_, sound in sounds.items()
    ]
