"""LibriSpeech (OpenSLR 12) and corpora with its layout: <part>/<speaker>/<chapter>/*.flac next to *.trans.txt."""

from collections.abc import Sequence
from pathlib import Path

from asrattn import audio
from asrattn.audio import walker
from asrattn.errors import DataError
from data_prep import build, split
from data_prep.build import DEFAULT_OPTIONS, PrepOptions, Splits
from data_prep.entries import CorpusEntry, require_folder
from data_prep.text_files import read_lines

_MERGED_PARTS = {"train": "train-", "dev": "dev-clean", "test": "test-clean"}
_CHAPTERS_SHARE = 0.1  # held out of chapters, which no part says to be dev or test


def prepare(
    source: Path,
    dest: Path,
    options: PrepOptions = DEFAULT_OPTIONS,
    train: Sequence[str] = (),
    dev_share: float | None = None,
    test_share: float | None = None,
) -> dict[str, Path]:
    """A manifest for each part that is there, and train (all train-*), dev (dev-clean), test (test-clean).

    source   the folder of the parts, or the one above it; or a folder of chapters, all of which are train
    train    the only training parts to be taken, such as train-clean-100; none named: all
    dev_share, test_share   share of train held out, by speakers, where there is no such split. None: nothing of
             published parts, a tenth of chapters
    """
    dest = build.open_dest(dest)
    source = require_folder(source)
    found = {part.name: part for part in _parts(source) or _parts(source / "LibriSpeech")}
    if absent := [name for name in train if name not in found]:
        listed = f"it has {', '.join(found)}" if found else "it has no parts, only chapters"
        raise DataError(f"{source}: has no folder {absent[0]}; {listed}")
    if train:
        found = {name: p for name, p in found.items() if name in train or not name.startswith("train-")}
    parts = {name: _entries(part) for name, part in found.items()}
    splits = build.build_splits(dest, parts or {"train": _chapters(source)}, options)
    if parts:
        splits = {**_merge_parts(splits), **splits}
    default = 0.0 if parts else _CHAPTERS_SHARE
    dev, test = (default if share is None else share for share in (dev_share, test_share))
    held = split.fill_empty(splits, dev, test, options.seed)
    return build.write_manifests(dest, _without_held_out(held))


def _parts(root: Path) -> list[Path]:
    return sorted(
        p for p in root.glob("*-*") if p.is_dir() and p.name.startswith(("train-", "dev-", "test-"))
    )


def _merge_parts(parts: Splits) -> Splits:
    return {
        name: [u for part, utterances in parts.items() if part.startswith(prefix) for u in utterances]
        for name, prefix in _MERGED_PARTS.items()
    }


def _without_held_out(splits: Splits) -> Splits:
    """The manifests of training parts without what is held out of train."""
    ids = {u.id for u in splits.get("train", [])}
    return {
        name: [u for u in us if u.id in ids] if name.startswith("train-") else us
        for name, us in splits.items()
    }


def _chapters(source: Path) -> list[CorpusEntry]:
    try:
        return _entries(source)
    except DataError:
        raise DataError(
            f"{source}: has no folder train-*, dev-* or test-* and no *.trans.txt; name the folder LibriSpeech/"
        ) from None


def _entries(part: Path) -> list[CorpusEntry]:
    entries = []
    found = walker.find_files(part)
    sounds = {path.stem: path for path in found.select(audio.EXTENSIONS)}
    for path in (path for path in found.files if path.name.endswith(".trans.txt")):
        speaker = _speaker(path)
        for number, line in read_lines(path):
            id_, *text = line.split(maxsplit=1)
            sound = sounds.pop(id_, path.parent / f"{id_}.flac")
            entries.append(CorpusEntry(id_, sound, "".join(text), speaker, where=f"{path.name}:{number}"))
    if not entries:
        raise DataError(f"{part}: has no <speaker>/<chapter>/*.trans.txt; was the archive unpacked whole?")
    fault = "no .trans.txt has a line for it"
    return entries + [
        CorpusEntry(id_, sound, "", sound.parent.parent.name, drop_reason=fault)
        for id_, sound in sounds.items()
    ]


def _speaker(transcripts: Path) -> str:
    """Of <speaker>-<chapter>.trans.txt; of another name that of the folder above the chapter's."""
    name, dash, _ = transcripts.name.partition("-")
    return name if dash else transcripts.parent.parent.name
