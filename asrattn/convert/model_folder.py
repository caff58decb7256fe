"""Folder of a model in another program's format: its JSON files, licence and origin."""

import json
import logging
from pathlib import Path
from typing import Any

from asrattn import files
from asrattn.convert.source import COPY_AGAIN, WhisperDims, WhisperRules, check_rules
from asrattn.errors import CheckpointError

log = logging.getLogger(__name__)

MAX_JSON_BYTES = 2**28  # of a tokenizer.json; Whisper's have 4 MB
LICENCE_FILES = ("LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE")
LICENCE_IDS = {"MIT License": "mit", "Apache License": "apache-2.0"}  # of the first line of a licence file
FRONT_MATTER = "---"  # around the YAML at the head of a README.md


def read_text(path: Path) -> str:
    """Raises CheckpointError if the file is missing, not readable, too large or not UTF-8."""
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise CheckpointError(
                f"{path}: is larger than {MAX_JSON_BYTES} bytes, which no model needs; {COPY_AGAIN}"
            )
        return files.read_text(path)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: is missing; copy or download the whole folder of the model") from None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise CheckpointError(f"{path}: is not UTF-8; {COPY_AGAIN}") from None


def parse_object(text: str, place: str) -> dict[str, Any]:
    """Raises CheckpointError if the text is no JSON object."""
    try:
        plain = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{place}: is no JSON ({str(error)[:80]}); {COPY_AGAIN}") from None
    if not isinstance(plain, dict):
        raise CheckpointError(f"{place}: is no JSON object; {COPY_AGAIN}")
    return plain


def read_object(path: Path) -> dict[str, Any]:
    """A JSON object. Raises CheckpointError naming the file."""
    return parse_object(read_text(path), str(path))


def read_optional(path: Path) -> dict[str, Any]:
    """A JSON object, {} if there is no such file. Raises CheckpointError naming the file."""
    return read_object(path) if path.exists() else {}


def read_rules(
    plain: dict[str, Any], names: tuple[str, str, str], dims: WhisperDims, place: str
) -> WhisperRules:
    """Rules from an object that has the two lists of tokens and the alignment heads under these names.

    A missing list, or null, is an empty one; heads outside of the decoder are left out with a warning. Raises
    CheckpointError for all that is no such list.
    """
    lists: list[tuple[Any, ...]] = []
    for name in names:
        entries = plain.get(name)
        if not isinstance(entries, list | None):
            raise CheckpointError(f"{place}: {name} is no list; {COPY_AGAIN}")
        lists.append(tuple(entries or ()))
    pairs = [(pair[0], pair[1]) for pair in lists[2] if _is_pair(pair)]
    if len(pairs) < len(lists[2]):
        raise CheckpointError(f"{place}: {names[2]} are no pairs of layer and head; {COPY_AGAIN}")
    heads = tuple(pair for pair in pairs if pair[0] < dims.decoder_layers and pair[1] < dims.decoder_heads)
    if len(heads) < len(pairs):  # distilled models were published with the heads of their teachers
        log.warning(
            "%s: %d of %d alignment heads are not in the decoder: left out",
            place,
            len(pairs) - len(heads),
            len(pairs),
        )
    rules = WhisperRules(lists[0], lists[1], heads)
    check_rules(rules, dims, place)
    return rules


def _is_pair(pair: object) -> bool:
    return isinstance(pair, list) and [type(x) for x in pair] == [int, int] and min(pair) >= 0


def origin_of(folder: Path) -> str:
    """The model's name: of the hub if the folder is in its cache (models--NAME/snapshots/COMMIT), else the folder's."""
    folder = folder.absolute()
    if folder.parent.name == "snapshots" and folder.parents[1].name.startswith("models--"):
        return folder.parents[1].name.removeprefix("models--").replace("--", "/")
    return folder.name


def licence_of(folder: Path) -> str:
    """The licence that README.md names in its front matter, else the first line of a licence file, else ""."""
    readme = folder / "README.md"
    if readme.is_file():
        lines = readme.read_text(encoding="utf-8", errors="replace").splitlines()
        end = lines.index(FRONT_MATTER, 1) if lines[:1] == [FRONT_MATTER] and FRONT_MATTER in lines[1:] else 0
        for line in lines[1:end]:
            if line.startswith("license:"):
                return line.removeprefix("license:").strip().strip("'\"")
    for name in LICENCE_FILES:
        if (folder / name).is_file():
            lines = (folder / name).read_text(encoding="utf-8", errors="replace").strip().splitlines()
            return lines[0].strip("# ") if lines else ""
    return ""


def card(origin: str, licence: str) -> str:
    """A README.md from which `licence_of` reads the licence again, by the hub's identifier where it is known."""
    licence = LICENCE_IDS.get(licence, licence)
    front = f"{FRONT_MATTER}\nlicense: {licence}\n{FRONT_MATTER}\n\n" if licence else ""
    return (
        f"{front}Whisper model, begun from {origin or 'a model of unknown origin'}, written by asrattn.\n\n"
        "Whisper's training data are not public: nobody can exclude that a test set was among them.\n"
    )
