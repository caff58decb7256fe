"""Container model.bin of CTranslate2, version 6: named variables and aliases, read within the bounds of the file.

Little-endian: uint32 version; string name and uint32 revision of the specification; uint32 count, then for each
variable string name, uint8 rank, uint32 dimensions, uint8 type, uint32 bytes, data; uint32 count, then for each alias
two strings. A string is uint16 length, with the zero at its end, and UTF-8.
"""

import math
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

import torch
from torch import Tensor

from asrattn import files
from asrattn.convert.source import COPY_AGAIN
from asrattn.errors import CheckpointError

VERSION = 6
TYPES = (torch.float32, torch.int8, torch.int16, torch.int32, torch.float16, torch.bfloat16)
MAX_RANK = 4


@dataclass(frozen=True)
class ModelBin:
    """spec: the name of the architecture. revision: of its variables. aliases: a name -> the variable it stands for."""

    spec: str
    revision: int
    variables: dict[str, Tensor]
    aliases: dict[str, str]


@dataclass
class _Reader:
    """A file from which no more is read than it holds."""

    path: Path
    file: BufferedReader
    left: int

    def data(self, size: int) -> bytearray:
        if size > self.left:
            raise CheckpointError(
                f"{self.path}: is truncated or damaged ({size} bytes wanted, {self.left} left); {COPY_AGAIN}"
            )
        self.left -= size
        buffer = bytearray(size)
        if self.file.readinto(buffer) != size:
            raise CheckpointError(f"{self.path}: changed while it was read; {COPY_AGAIN}")
        return buffer

    def number(self, code: str) -> int:
        return int(struct.unpack("<" + code, self.data(struct.calcsize("<" + code)))[0])

    def string(self) -> str:
        raw = self.data(self.number("H"))
        try:
            return raw.removesuffix(b"\0").decode("utf-8")
        except UnicodeDecodeError:
            raise CheckpointError(f"{self.path}: has a name that is not UTF-8; {COPY_AGAIN}") from None

    def variable(self, name: str) -> Tensor:
        rank = self.number("B")
        shape = [self.number("I") for _ in range(min(rank, MAX_RANK))]
        kind, size = self.number("B"), self.number("I")
        if (
            rank > MAX_RANK
            or kind >= len(TYPES)
            or math.prod(shape) * TYPES[kind].itemsize != size
            or not size
        ):
            raise CheckpointError(
                f"{self.path}: {name[:80]} is damaged (shape {shape}, type {kind}, {size} bytes); {COPY_AGAIN}"
            )
        return torch.frombuffer(self.data(size), dtype=TYPES[kind]).reshape(shape)


def read(path: Path) -> ModelBin:
    """Raises CheckpointError naming the file, if it is missing, truncated, damaged or of another version."""
    try:
        with files.open_file(path) as file:
            return _read(_Reader(path, file, os.fstat(file.fileno()).st_size))
    except FileNotFoundError:
        raise CheckpointError(f"{path}: is missing; copy or download the whole folder of the model") from None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror})") from None


def _read(reader: _Reader) -> ModelBin:
    version = reader.number("I")
    if version != VERSION:
        raise CheckpointError(
            f"{reader.path}: is no model.bin of CTranslate2 of version {VERSION} (its version is {version}); "
            "convert the model again with a newer CTranslate2"
        )
    spec, revision = reader.string(), reader.number("I")
    variables: dict[str, Tensor] = {}
    for _ in range(reader.number("I")):
        name = reader.string()
        if name in variables:
            raise CheckpointError(f"{reader.path}: holds {name[:80]} twice; {COPY_AGAIN}")
        variables[name] = reader.variable(name)
    aliases: dict[str, str] = {}
    for _ in range(reader.number("I")):
        name, target = reader.string(), reader.string()
        if name in variables or name in aliases or target not in variables:
            raise CheckpointError(
                f"{reader.path}: its alias {name[:80]} of {target[:80]} is wrong; {COPY_AGAIN}"
            )
        aliases[name] = target
    if reader.left:
        raise CheckpointError(f"{reader.path}: is damaged ({reader.left} bytes after its end); {COPY_AGAIN}")
    return ModelBin(spec, revision, variables, aliases)


def write(path: Path, content: ModelBin) -> None:
    """Variables in the order of their names, as CTranslate2 writes them. Not atomic. Raises OSError."""
    with path.open("wb") as file:
        file.write(struct.pack("<I", VERSION) + _string(content.spec))
        file.write(struct.pack("<II", content.revision, len(content.variables)))
        for name, variable in sorted(content.variables.items()):
            kind = TYPES.index(variable.dtype)
            file.write(_string(name) + struct.pack(f"<B{variable.dim()}I", variable.dim(), *variable.shape))
            file.write(struct.pack("<BI", kind, variable.nbytes))
            file.write(variable.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        file.write(_aliases(content.aliases))


def _aliases(aliases: Mapping[str, str]) -> bytes:
    pairs = (_string(name) + _string(target) for name, target in sorted(aliases.items()))
    return struct.pack("<I", len(aliases)) + b"".join(pairs)


def _string(text: str) -> bytes:
    raw = text.encode() + b"\0"
    return struct.pack("<H", len(raw)) + raw
