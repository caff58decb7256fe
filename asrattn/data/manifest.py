"""Manifests: JSON lines, one utterance per line, audio paths relative to the manifest."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from asrattn import files, strict_json
from asrattn.errors import ManifestError

MAX_SECONDS = 1e8  # three years: no recording is longer


@dataclass(frozen=True)
class Utterance:
    """One stretch of speech. Raises ManifestError for an empty id or audio, and for times that cannot be.

    id        unique within a manifest
    audio     path of the audio file; relative ones are relative to the manifest's folder
    text      the transcript as published
    seconds   length of this stretch
    speaker   "" where it is not known
    start     where in the file the stretch begins, in seconds; it ends after `seconds`. None: the whole file
    tags      whatever else is known of it, by name: {"snr": 12.5, "set": "clean"}; for slices of a result
    """

    id: str
    audio: str
    text: str
    seconds: float
    speaker: str = ""
    start: float | None = None
    tags: Mapping[str, str | float] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        for name in ("id", "audio"):
            if not getattr(self, name):
                raise ManifestError(f"{name} is empty; every utterance needs one")
        for name in ("seconds", "start"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= MAX_SECONDS:
                raise ManifestError(f"{name} is {value}; give a time in seconds, zero or more")


_TYPES: dict[str, tuple[type, ...]] = {
    "id": (str,),
    "audio": (str,),
    "text": (str,),
    "seconds": (int, float),
    "speaker": (str,),
    "start": (int, float, type(None)),
    "tags": (dict,),
}
_REQUIRED = ("id", "audio", "text", "seconds")
_FOREIGN = ("id", "audio")  # manifests of other toolkits lack these
_CONVERT = "; if it is a manifest of another toolkit, convert it with python -m data_prep manifest"


def read(path: Path) -> list[Utterance]:
    """All utterances of a manifest, audio paths made absolute. The audio files need not exist.

    Raises ManifestError for a file that cannot be read or holds nothing; and, naming the line, for: no JSON,
    a field missing, unknown, of the wrong type or out of range, a duplicate id.
    """
    utterances = []
    seen: dict[str, int] = {}
    for number, plain in _plain(path):
        utterance = _utterance(plain, f"{path}:{number}")
        if utterance.id in seen:
            first = seen[utterance.id]
            raise ManifestError(
                f"{path}:{number}: id {utterance.id!r} is on line {first} too; ids must differ"
            )
        seen[utterance.id] = number
        utterances.append(replace(utterance, audio=str(path.parent.absolute() / utterance.audio)))
    if not utterances:
        raise _empty(path)
    return utterances


def check(path: Path) -> None:
    """Raises ManifestError as `read` does, for the file and its first utterance alone: no more of it is read."""
    for number, plain in _plain(path):
        _utterance(plain, f"{path}:{number}")
        return
    raise _empty(path)


def _plain(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    return read_json_lines(path, "manifest", "utterance", "make it with python -m data_prep")


def _empty(path: Path) -> ManifestError:
    return ManifestError(f"{path}: holds no utterance; prepare it again with python -m data_prep")


def parse_line(line: str, where: str, folder: Path) -> Utterance:
    """The utterance of one line of a manifest in this folder. Raises ManifestError as `read` does, from `where`."""
    utterance = _utterance(_object(line, where, "utterance"), where)
    return replace(utterance, audio=str(folder.absolute() / utterance.audio))


def write(path: Path, utterances: Iterable[Utterance]) -> None:
    """Write a manifest whole or not at all; absolute audio paths below its folder become relative.

    Raises ManifestError for a duplicate id, and where the file cannot be written.
    """
    lines: dict[str, str] = {}
    for utterance in utterances:
        if utterance.id in lines:
            raise ManifestError(f"{path}: id {utterance.id!r} occurs twice; ids must differ")
        lines[utterance.id] = json.dumps(_line(utterance, path.parent), ensure_ascii=False) + "\n"
    try:
        # a file name that is no UTF-8 comes as lone surrogates; a backslash escape is what JSON calls them
        with (
            files.atomic_write(path) as draft,
            draft.open("w", encoding="utf-8", errors="backslashreplace") as out,
        ):
            out.writelines(lines.values())
    except OSError as error:
        raise ManifestError(f"{path}: cannot be written ({error.strerror})") from error


def _line(utterance: Utterance, folder: Path) -> dict[str, Any]:
    line = {k: v for k, v in asdict(utterance).items() if v not in ("", None, {}) or k in _REQUIRED}
    for name in {"id", "text", "speaker"} & line.keys():  # of names that are no UTF-8: readable from now on
        line[name] = line[name].encode("utf-8", "backslashreplace").decode()
    for name in {"id", "speaker"} & line.keys():
        line[name] = line[name].replace("\0", "\\x00")
    return line | {"audio": _relative(Path(utterance.audio), folder).as_posix()}


def _relative(audio: Path, folder: Path) -> Path:
    """What lies below the folder moves with it; what lies elsewhere stays where it is."""
    for base in (folder.absolute(), folder.resolve()):
        if audio.is_relative_to(base):
            return audio.relative_to(base)
    return audio


def read_json_lines(
    path: Path, file_kind: str, item: str, remedy: str
) -> Iterator[tuple[int, dict[str, Any]]]:
    """The JSON objects of a file of lines, with their line numbers; empty lines are passed over.

    What the file is, what a line of it holds and the remedy for its absence are for the messages. Raises
    ManifestError for no file, a folder or no text, and naming the line for no JSON.
    """
    try:
        with path.open(encoding="utf-8-sig") as lines:  # some editors begin a file with a byte order mark
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield number, _object(line, f"{path}:{number}", item)
    except FileNotFoundError:
        raise ManifestError(f"{path}: does not exist; {remedy}") from None
    except IsADirectoryError:
        raise ManifestError(f"{path}: is a folder; name a {file_kind} (.jsonl) in it") from None
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError:
        raise ManifestError(f"{path}: is not UTF-8 text; a {file_kind} is JSON lines") from None


def _object(line: str, where: str, item: str) -> dict[str, Any]:
    try:
        plain = strict_json.parse(line)
    except ValueError as error:
        raise ManifestError(f"{where}: is no JSON ({error}); one {item} a line") from None
    if not isinstance(plain, dict):
        raise ManifestError(f"{where}: is no JSON object; one {item} a line")
    return plain


def _is_writable(name: str, text: str) -> bool:
    """Whether a field can be written to a file, a terminal or a path: without half of a surrogate pair or NUL.

    An audio path may have bytes that are no UTF-8; of NUL in a transcript `asrattn check` tells.
    """
    try:
        text.encode("utf-8", "surrogateescape" if name == "audio" else "strict")
    except UnicodeEncodeError:
        return False
    return name == "text" or "\0" not in text


def _utterance(plain: dict[str, Any], where: str) -> Utterance:
    for name in _REQUIRED:
        if name not in plain:
            raise ManifestError(f"{where}: lacks the field {name!r}{_CONVERT if name in _FOREIGN else ''}")
    for name, value in plain.items():
        if name not in _TYPES:
            raise ManifestError(f"{where}: {name!r} is no field of an utterance ({', '.join(_TYPES)})")
        if not isinstance(value, _TYPES[name]) or isinstance(value, bool):
            raise ManifestError(f"{where}: {name} is {value!r}, of the wrong type")
    tags = plain.get("tags", {})
    for name, value in tags.items():
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ManifestError(f"{where}: the tag {name} is {value!r}; a tag is a text or a number")
    of_tags = [("the name of a tag", tag) for tag in tags] + [(f"the tag {tag}", tags[tag]) for tag in tags]
    for name, value in [*plain.items(), *of_tags]:
        if isinstance(value, str) and not _is_writable(name, value):
            raise ManifestError(f"{where}: {name} is {value!r}, with characters that no text has; correct it")
    try:
        return Utterance(**plain)
    except ManifestError as error:
        raise ManifestError(f"{where}: {error}") from None
