"""Kaldi data folders, also ESPnet's: wav.scp, text, and optionally utt2spk, segments and reco2file_and_channel."""

import re
from pathlib import Path
from typing import NamedTuple

from asrattn.errors import DataError
from data_prep import build, split
from data_prep.audio_finder import AudioFinder
from data_prep.build import DEFAULT_OPTIONS, PrepOptions
from data_prep.entries import SPLITS, CorpusEntry, require_folder
from data_prep.pipes import read_pipe
from data_prep.table_entries import SPLIT_NAMES
from data_prep.text_files import read_lines

MAX_VALUE_LENGTH = 10_000  # characters of a path or command; paths have at most 4096


class _Line(NamedTuple):
    """What stands after the first word of a line, and the file and number of the line."""

    value: str
    where: str


class _Recording(NamedTuple):
    """A line of wav.scp."""

    audio: Path
    channel: int | None
    fault: str
    where: str


class _Segment(NamedTuple):
    """A line of segments; without such a list, a whole recording."""

    recording: str
    start: float | None
    end: float | None
    channel: int | None
    where: str
    fault: str = ""


def prepare(
    source: Path,
    dest: Path,
    options: PrepOptions = DEFAULT_OPTIONS,
    root: Path | None = None,
    dev_share: float = 0.1,
    test_share: float = 0.1,
) -> dict[str, Path]:
    """Manifests of one Kaldi folder, or of a folder that holds such folders named train, dev and test.

    root         what relative paths of wav.scp are relative to; None: the folder itself, or else those above it
    dev_share, test_share   share of the utterances held out, by speakers, where the corpus has no such split
    """
    dest = build.open_dest(dest)
    source = require_folder(source)
    splits = build.build_splits(dest, read_entries(source, root and require_folder(root)), options)
    shares = {"dev": dev_share, "test": test_share}
    return build.write_manifests(dest, split.hold_out_shares(splits, shares, options.seed))


def read_entries(source: Path, root: Path | None = None) -> dict[str, list[CorpusEntry]]:
    """The entries of the lists, by split. Raises DataError for missing lists."""
    if (source / "wav.scp").exists():
        return {"train": _entries(source, root)}
    folders = {name: [source / name] for name in SPLITS if (source / name / "wav.scp").exists()}
    if "train" not in folders:
        folders = _folders_by_words(source)
    if "train" not in folders:
        raise DataError(f"{source}: has neither wav.scp nor train/wav.scp; name a Kaldi data folder")
    return {name: [e for here in found for e in _entries(here, root)] for name, found in folders.items()}


def _folders_by_words(source: Path) -> dict[str, list[Path]]:
    """ESPnet's folders by the last word that names a split: train_nodev is train, train_dev is dev."""
    folders: dict[str, list[Path]] = {}
    for here in sorted(path.parent for path in source.glob("*/wav.scp")):
        words = [word for word in re.split(r"[^a-z]+", here.name.lower()) if word in SPLIT_NAMES]
        if words:
            folders.setdefault(SPLIT_NAMES[words[-1]], []).append(here)
    return folders


def _entries(here: Path, root: Path | None) -> list[CorpusEntry]:
    dropped: list[CorpusEntry] = []
    recordings = _recordings(here, root, dropped)
    texts = _mapping(here / "text", dropped)
    speakers = _mapping(here / "utt2spk", dropped) if (here / "utt2spk").exists() else {}
    listed = []
    for id_, segment in _segments(here, recordings, dropped).items():
        recording = recordings.get(segment.recording)
        fault = segment.fault or ("" if id_ in texts else "text has no line for it")
        if recording is None:
            fault = segment.fault or f"wav.scp has no line for its recording {segment.recording}"
            recording = _Recording(here / segment.recording, None, "", "")
        listed.append(
            CorpusEntry(
                id_,
                recording.audio,
                texts.pop(id_).value if id_ in texts else "",
                speakers[id_].value if id_ in speakers else "",
                segment.start,
                segment.end,
                recording.fault or fault,
                recording.where if recording.fault else segment.where,
                segment.channel or recording.channel,
            )
        )
    unknown = "it has a text but no audio: wav.scp or segments lack a line for it"
    without = [
        CorpusEntry(id_, here / "text", line.value, drop_reason=unknown, where=line.where)
        for id_, line in texts.items()
    ]
    return [*listed, *without, *dropped]


def _segments(
    here: Path, recordings: dict[str, _Recording], dropped: list[CorpusEntry]
) -> dict[str, _Segment]:
    """The segment of each utterance. Without a list of segments each recording is one utterance."""
    path = here / "segments"
    if not path.exists():
        return {name: _Segment(name, None, None, None, r.where) for name, r in recordings.items()}
    return {id_: _segment(line) for id_, line in _mapping(path, dropped).items()}


def _segment(line: _Line) -> _Segment:
    recording, *numbers = line.value.split() or [""]
    try:
        start, end, *channel = numbers
        last = float(end)
        # a negative end stands for the end of the recording
        return _Segment(
            recording, float(start), last if last >= 0 else None, _channel(channel, first=0), line.where
        )
    except ValueError:
        fault = f"{line.value!r} is not 'recording start end', or a channel after them"
        return _Segment(recording, None, None, None, line.where, fault)


def _channel(words: list[str], first: int) -> int | None:
    """The channel from 1, of A, B or a number that counts from `first`. Raises ValueError."""
    if not words:
        return None
    word = "".join(words)
    number = ord(word.upper()) - ord("A") + 1 if word.upper() in ("A", "B") else int(word) - first + 1
    if number < 1:
        raise ValueError(word)
    return number


def _recordings(here: Path, root: Path | None, dropped: list[CorpusEntry]) -> dict[str, _Recording]:
    finder = AudioFinder(root) if root else AudioFinder(here, *list(here.parents)[:-1])
    lines = _mapping(here / "wav.scp", dropped)
    found = {name: _recording(line, here, finder) for name, line in lines.items()}
    path = here / "reco2file_and_channel"
    for name, line in _mapping(path, dropped).items() if path.exists() else ():
        file, _, side = line.value.rpartition(" ")
        recording = found.get(name) or found.get(file.strip())
        if recording and recording.channel is None:
            try:
                # from 1 where it is a number, but 0 is the first too
                found[name] = recording._replace(channel=max(1, _channel([side.strip()], first=1) or 1))
            except ValueError:
                found[name] = recording._replace(fault=f"{line.where}: {side!r} is no channel")
    return found


def _recording(line: _Line, here: Path, finder: AudioFinder) -> _Recording:
    value, channel = line.value, None
    if not value or "\0" in value or len(value) > MAX_VALUE_LENGTH:
        return _Recording(here / "wav.scp", None, "names no file", line.where)
    if value.endswith("|"):
        try:
            value, channel = read_pipe(value)
        except ValueError as error:
            reason = f"is a command ({line.value!r}), and commands are never run; {error}: convert it to a file first"
            return _Recording(here / "wav.scp", None, reason, line.where)
    if re.search(r"\.ark:\d+$", value):
        reason = f"is in an archive of Kaldi's ({value}); write the recordings to files of their own"
        return _Recording(here / "wav.scp", None, reason, line.where)
    return _Recording(finder.find(value), channel, "", line.where)


def _mapping(path: Path, dropped: list[CorpusEntry]) -> dict[str, _Line]:
    """First word -> rest of the line. Of two lines for one word the second is dropped."""
    mapping: dict[str, _Line] = {}
    for number, line in read_lines(path):
        key, *rest = line.split(maxsplit=1)
        where = f"{path.name}:{number}"
        if key in mapping:
            reason = f"{key} has a line already ({mapping[key].where}); each id may have one"
            dropped.append(CorpusEntry(key, path, "", drop_reason=reason, where=where))
        else:
            mapping[key] = _Line(rest[0].strip() if rest else "", where)
    return mapping
