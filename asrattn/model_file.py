"""Header of a model file, read without torch and without the weights.

A model file is a safetensors file: 8 bytes that give the length of its header, the header as JSON, then the weights.
The header's metadata has one entry, `asrattn`: a JSON object of the format version and whatever belongs to the weights.
One entry rather than several because safetensors shuffles them: this way the same content makes the same bytes.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from asrattn import files, strict_json
from asrattn.errors import AsrattnError, CheckpointError, LMError

VERSION = 1
ENTRY = "asrattn"
PARTS = {"version", "model", "lm", "tokenizer", "card", "search", "checksum"}  # of that JSON object
RETRAIN = "copy the file again, or train it again"
_LENGTH_BYTES = 8  # of the number that a safetensors file begins with, little-endian


def read(path: Path) -> dict[str, Any]:
    """The JSON of a model file of any kind.

    Raises CheckpointError naming the file and what is wrong with it: missing, truncated, of another kind or version.
    """
    header = _header(path)
    entry = (header.get("__metadata__") or {}).get(ENTRY)
    if entry is None:
        raise CheckpointError(
            f"{path}: is a safetensors file, but no asrattn model; name a run's model.safetensors, or import what it "
            "belongs to (asrattn import)"
        )
    try:
        plain = strict_json.parse(entry, finite=False)
    except (ValueError, TypeError) as error:
        raise CheckpointError(f"{path}: its configuration is no JSON ({error}); {RETRAIN}") from None
    if not isinstance(plain, dict):
        raise CheckpointError(f"{path}: its configuration is no JSON object; {RETRAIN}")
    if unknown := plain.keys() - PARTS:
        raise CheckpointError(
            f"{path}: its configuration has an unknown part {min(unknown)!r:.40}; {RETRAIN}"
        )
    if plain.get("version") != VERSION:
        raise CheckpointError(
            f"{path}: has format version {plain.get('version')!r}, this asrattn reads {VERSION}; "
            "use the asrattn that wrote it, or train it again"
        )
    return plain


def read_speech_model(path: Path) -> dict[str, Any]:
    """The JSON of a speech model: model, tokenizer, card and search.

    Raises CheckpointError as `read`, and for the file of a language model, or one in which a part is missing.
    """
    plain = read(path)
    if "lm" in plain:
        raise CheckpointError(
            f"{path}: is a language model; name it with --lm, and a run's model.safetensors here"
        )
    missing = {"model", "tokenizer", "card", "search"} - plain.keys()
    if missing or not isinstance(plain["card"], dict):
        raise CheckpointError(
            f"{path}: its configuration lacks {', '.join(sorted(missing)) or 'a card'}; {RETRAIN}"
        )
    return plain


def read_language_model(path: Path) -> dict[str, Any]:
    """The JSON of a neural language model: lm, tokenizer and card.

    Raises CheckpointError as `read`, and LMError for a file that holds something else.
    """
    plain = read(path)
    if "lm" not in plain:
        raise LMError(f"{path}: is no language model; asrattn lm train-neural makes one")
    return plain


def is_model_file(path: Path) -> bool:
    """Whether a file begins as those here do: the length of a header, and its first brace."""
    try:
        with files.open_file(path) as file:
            start = file.read(_LENGTH_BYTES + 1)
    except OSError:
        return False  # reading it will report why
    return start[_LENGTH_BYTES:] == b"{" and start[_LENGTH_BYTES - 3 : _LENGTH_BYTES] == bytes(3)


@contextmanager
def damaged_configuration(path: Path) -> Iterator[None]:
    """Turn what a configuration from a file can raise into a CheckpointError that names the file."""
    try:
        yield
    except CheckpointError as error:
        if str(error).startswith(str(path)):  # it does already
            raise
        raise _damaged(path, error) from None
    except (
        AsrattnError,
        LookupError,
        RuntimeError,
        TypeError,
        ValueError,
        OverflowError,
        MemoryError,
        AttributeError,
    ) as error:
        raise _damaged(path, error) from None  # of torch and its like, for sizes that cannot be


def _damaged(path: Path, error: Exception) -> CheckpointError:
    reason = (str(error) or type(error).__name__).splitlines()[0]
    return CheckpointError(f"{path}: its configuration is damaged ({reason:.200}); {RETRAIN}")


def _header(path: Path) -> dict[str, Any]:
    """The header of a safetensors file that is whole: it ends where the last weight does."""
    try:
        with files.open_file(path) as file:
            start = file.read(_LENGTH_BYTES + 1)
            size = os.fstat(file.fileno()).st_size
            length = _header_bytes(path, start, size)
            header = json.loads(start[_LENGTH_BYTES:] + file.read(length - 1))
            ends = [place["data_offsets"][1] for name, place in header.items() if name != "__metadata__"]
            needed = _LENGTH_BYTES + length + max(ends, default=0)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: does not exist; a run's model is its model.safetensors") from None
    except IsADirectoryError:
        pretrained = (path / "config.json").exists() or (path / "model.bin").exists()
        advice = (
            "make a model file of it with asrattn import"
            if pretrained
            else "name the model.safetensors in it"
        )
        raise CheckpointError(f"{path}: is a folder; {advice}") from None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        raise CheckpointError(
            f"{path}: is truncated or damaged (its header cannot be read); {RETRAIN}"
        ) from None
    if size != needed:
        raise CheckpointError(f"{path}: is truncated or damaged ({size} bytes of {needed}); {RETRAIN}")
    return dict(header)


def _header_bytes(path: Path, start: bytes, size: int) -> int:
    """The length of the header, from the first bytes and the size: a file of another format is recognised before
    anything is parsed."""
    if not start:
        raise CheckpointError(f"{path}: is empty; {RETRAIN}")
    if start[_LENGTH_BYTES:] != b"{":
        _refuse(path, start)
    length = int.from_bytes(start[:_LENGTH_BYTES], "little")
    if length > size - _LENGTH_BYTES:
        raise CheckpointError(
            f"{path}: is truncated or damaged (a header of {length} bytes in a file of {size}); {RETRAIN}"
        )
    return length


def _refuse(path: Path, start: bytes) -> NoReturn:
    if start.startswith((b"PK", b"\x80")):  # torch.save writes a zip with a pickle in it, formerly a bare one
        raise CheckpointError(
            f"{path}: is a pickle; these are never loaded, since they can execute code "
            "(last.ckpt serves train --resume only; the model is model.safetensors)"
        )
    raise CheckpointError(f"{path}: is no safetensors file; a run's model is its model.safetensors")
