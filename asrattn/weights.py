"""A file of weights and the JSON of what they mean: a safetensors file, nothing executable.

Its metadata has one entry, `asrattn`: a JSON object of the format version and whatever belongs to the weights. One
entry rather than several because safetensors shuffles them: this way the same content makes the same bytes.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import safetensors
import safetensors.torch
from torch import Tensor, nn

from asrattn import files
from asrattn.config import Plain
from asrattn.errors import CheckpointError

VERSION = 1
RETRAIN = "copy the file again, or train it again"
_ENTRY = "asrattn"
_LENGTH_BYTES = 8  # a safetensors file begins with the length of its header, little-endian


def save(path: Path, module: nn.Module, about: Mapping[str, Plain]) -> None:
    """Write a file whole or not at all. Raises CheckpointError where the disk refuses."""
    # Cloned, since safetensors refuses tied weights and views; both are whole again after loading.
    weights = {name: w.detach().cpu().contiguous().clone() for name, w in module.state_dict().items()}
    entry = json.dumps({"version": VERSION, **about}, ensure_ascii=False)
    _write(path, safetensors.torch.save(weights, {_ENTRY: entry}))


def read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The JSON and the weights of a file. Runs nothing from it.

    Raises CheckpointError naming the file and what is wrong with it: missing, truncated, of another kind or version.
    """
    _inspect(path)
    plain, weights = _read(path)
    if plain.get("version") != VERSION:
        raise CheckpointError(
            f"{path}: has format version {plain.get('version')!r}, this asrattn reads {VERSION}; "
            "use the asrattn that wrote it, or train it again"
        )
    return plain, weights


def fill(path: Path, module: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Give a module the weights of a file. Raises CheckpointError naming the first one which they do not share."""
    expected = module.state_dict()
    for name in [*expected, *weights]:
        have, want = weights.get(name), expected.get(name)
        if want is None:
            trouble = "is not part of the model"
        elif have is None:
            trouble = "is missing"
        elif have.shape != want.shape:
            trouble = f"has shape {tuple(have.shape)} instead of {tuple(want.shape)}"
        else:
            continue
        raise CheckpointError(
            f"{path}: its weights do not fit its configuration: {name} {trouble}; {RETRAIN}"
        )
    module.load_state_dict(weights)


def is_one(path: Path) -> bool:
    """Whether a file begins as those here do: the length of a header, and its first brace."""
    try:
        with path.open("rb") as file:
            start = file.read(_LENGTH_BYTES + 1)
    except OSError:
        return False  # who reads it will say why
    return start[_LENGTH_BYTES:] == b"{" and start[_LENGTH_BYTES - 3 : _LENGTH_BYTES] == bytes(3)


def _write(path: Path, content: bytes) -> None:
    try:
        with files.drafted(path) as draft, draft.open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
    except OSError as error:
        reason = error.strerror or str(error)
        raise CheckpointError(
            f"{path}: cannot be written ({reason}); make room or choose another place, then try again"
        ) from None


def _inspect(path: Path) -> None:
    """Tell apart by its first bytes and its size what is no whole safetensors file, before anything is parsed."""
    try:
        with path.open("rb") as file:
            start = file.read(_LENGTH_BYTES + 1)
            size = os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        raise CheckpointError(f"{path}: does not exist; a run's model is its model.safetensors") from None
    except IsADirectoryError:
        raise CheckpointError(f"{path}: is a folder; name the model.safetensors in it") from None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror})") from None
    if not start:
        raise CheckpointError(f"{path}: is empty; {RETRAIN}")
    if start[_LENGTH_BYTES:] != b"{":
        _refuse(path, start)
    header = int.from_bytes(start[:_LENGTH_BYTES], "little")
    if header > size - _LENGTH_BYTES:
        raise CheckpointError(
            f"{path}: is truncated or damaged (a header of {header} bytes in a file of {size}); {RETRAIN}"
        )


def _refuse(path: Path, start: bytes) -> NoReturn:
    if start.startswith(
        (b"PK", b"\x80")
    ):  # torch.save writes a zip with a pickle in it, formerly a bare pickle
        raise CheckpointError(
            f"{path}: is a pickle; these are never loaded, since they can execute code "
            "(last.ckpt serves train --resume only; the model is model.safetensors)"
        )
    raise CheckpointError(f"{path}: is no safetensors file; a run's model is its model.safetensors")


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The JSON and the weights of a file."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            entry = (file.metadata() or {}).get(_ENTRY)
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (safetensors.SafetensorError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{path}: is truncated or damaged ({reason}); {RETRAIN}") from None
    if entry is None:
        raise CheckpointError(
            f"{path}: is a safetensors file, but no asrattn model; name a model.safetensors"
        )
    try:
        plain = json.loads(entry)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: its configuration is no JSON ({error}); {RETRAIN}") from None
    if not isinstance(plain, dict):
        raise CheckpointError(f"{path}: its configuration is no JSON object; {RETRAIN}")
    return plain, weights
