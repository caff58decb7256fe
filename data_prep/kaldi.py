"""Kaldi data folders: wav.scp, text, and optionally utt2spk and segments."""

from pathlib import Path

from asrattn.errors import DataError
from data_prep import build, split
from data_prep.build import DEFAULT_OPTIONS, PrepOptions
from data_prep.entries import SPLITS, CorpusEntry, read_lines, require_folder


def prepare(
    source: Path,
    dest: Path,
    options: PrepOptions = DEFAULT_OPTIONS,
    root: Path | None = None,
    dev_share: float = 0.1,
    test_share: float = 0.1,
) -> dict[str, Path]:
    """Manifests of one Kaldi folder, or of a folder that holds such folders named train, dev and test.

    root         what relative paths of wav.scp are relative to; None: the folder itself, or else the one above
    dev_share, test_share   share of the utterances held out, by speakers, where the corpus has no such split
    """
    dest = build.open_dest(dest)
    source = require_folder(source)
    splits = build.build_splits(dest, read_entries(source, root and require_folder(root)), options)
    shares = {"dev": dev_share, "test": test_share}
    return build.write_manifests(dest, split.hold_out_shares(splits, shares, options.seed))


def read_entries(source: Path, root: Path | None = None) -> dict[str, list[CorpusEntry]]:
    """The entries of the lists, by split. Raises DataError for missing or damaged lists and for commands in wav.scp."""
    if (source / "wav.scp").exists():
        return {"train": _entries(source, root)}
    found = [name for name in SPLITS if (source / name / "wav.scp").exists()]
    if "train" not in found:
        raise DataError(f"{source}: has neither wav.scp nor train/wav.scp; name a Kaldi data folder")
    return {name: _entries(source / name, root) for name in found}


def _entries(here: Path, root: Path | None) -> list[CorpusEntry]:
    sounds = _sounds(here / "wav.scp", root)
    texts = _mapping(here / "text")
    speakers = _mapping(here / "utt2spk") if (here / "utt2spk").exists() else {}
    listed = []
    for id_, (recording, start, end) in _segments(here, sounds).items():
        fault = "" if id_ in texts else "text has no line for it"
        if recording not in sounds:
            fault = f"wav.scp has no line for its recording {recording}"
        sound = sounds.get(recording, Path(recording))
        listed.append(CorpusEntry(id_, sound, texts.pop(id_, ""), speakers.get(id_, ""), start, end, fault))
    unknown = "it has a text but no audio: wav.scp or segments lack a line for it"
    return listed + [
        CorpusEntry(id_, here / "text", text, drop_reason=unknown) for id_, text in texts.items()
    ]


def _segments(here: Path, sounds: dict[str, Path]) -> dict[str, tuple[str, float | None, float | None]]:
    """Utterance -> recording, start, end in seconds. Without a list of segments each recording is one utterance."""
    path = here / "segments"
    if not path.exists():
        return {name: (name, None, None) for name in sounds}
    segments: dict[str, tuple[str, float | None, float | None]] = {}
    for id_, line in _mapping(path).items():
        try:
            recording, start, end = line.split()
            # a negative end stands for the end of the recording
            segments[id_] = recording, float(start), float(end) if float(end) >= 0 else None
        except ValueError:
            raise DataError(f"{path}: {id_} {line!r} is not 'recording start end'") from None
    return segments


def _sounds(path: Path, root: Path | None) -> dict[str, Path]:
    sounds = {}
    for name, value in _mapping(path).items():
        if value.endswith("|"):
            raise DataError(
                f"{path}: {name} is a command ({value!r}), and commands are never run; "
                "convert the recordings to files first and list those"
            )
        sounds[name] = _sound(Path(value), path.parent, root)
    return sounds


def _sound(path: Path, here: Path, root: Path | None) -> Path:
    """Absolute paths stay; relative ones count from `root`, or from the first of here and above where they exist."""
    if root:
        return root / path
    return next((base / path for base in (here, here.parent) if (base / path).exists()), here / path)


def _mapping(path: Path) -> dict[str, str]:
    """First word -> rest of the line. Raises DataError for a duplicate first word."""
    mapping: dict[str, str] = {}
    for number, line in read_lines(path):
        key, *rest = line.split(maxsplit=1)
        if key in mapping:
            raise DataError(f"{path}:{number}: {key} has a line already; each id may have one")
        mapping[key] = rest[0].strip() if rest else ""
    return mapping
