"""The weights of a model file, a safetensors file: nothing in it is executable. Its JSON is read by `model_file`."""

import json
import os
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from asrattn import files
from asrattn.config import JSONValue
from asrattn.errors import CheckpointError
from asrattn.model_file import ENTRY, RETRAIN, VERSION

M = TypeVar("M", bound=nn.Module)
CHECKSUM = "checksum"  # in the JSON of a file; asrattn 0.2.0 and earlier wrote none
MIN_SIZE_LIMIT = 1 << 16  # of a whole number in a configuration, however small the file


def save(
    path: Path, module: nn.Module, about: Mapping[str, JSONValue], dtype: torch.dtype | None = None
) -> None:
    """Write a file whole or not at all, the weights in `dtype`. Raises CheckpointError where the disk refuses."""
    # Cloned, since safetensors refuses tied weights and views; both are whole again after loading.
    weights = {name: _stored(w, dtype) for name, w in module.state_dict().items()}
    plain: dict[str, JSONValue] = {"version": VERSION, **about}
    entry = json.dumps(plain | {CHECKSUM: _checksum(plain, weights)}, ensure_ascii=False)
    _write(path, safetensors.torch.save(weights, {ENTRY: entry}))


def _checksum(plain: Mapping[str, JSONValue], weights: Mapping[str, Tensor]) -> int:
    """CRC-32 of the JSON and of all weights with their names, types and shapes."""
    found = zlib.crc32(json.dumps(plain, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    for name, weight in sorted(weights.items()):
        found = zlib.crc32(f"{name} {weight.dtype} {tuple(weight.shape)}".encode(), found)
        found = zlib.crc32(weight.contiguous().reshape(-1).view(torch.uint8).numpy().data, found)
    return found


def _stored(weight: Tensor, dtype: torch.dtype | None) -> Tensor:
    weight = weight.detach().cpu()
    if dtype is not None and weight.is_floating_point():
        weight = weight.to(dtype)
    return weight.contiguous().clone()


def load(path: Path, plain: Mapping[str, JSONValue]) -> dict[str, Tensor]:
    """The weights of a file, by name; plain: its JSON. Runs nothing from it. Raises CheckpointError for what cannot be
    read or has changed since it was written, and for weights that are no numbers."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (safetensors.SafetensorError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{path}: is truncated or damaged ({reason}); {RETRAIN}") from None
    content = {name: value for name, value in plain.items() if name != CHECKSUM}
    if CHECKSUM in plain and plain[CHECKSUM] != _checksum(content, weights):
        raise CheckpointError(f"{path}: is damaged (its checksum differs); {RETRAIN}")
    for name, weight in weights.items():
        if weight.is_floating_point() and not weight.isfinite().all():
            raise CheckpointError(f"{path}: its weight {name} holds NaN or infinite values; {RETRAIN}")
    return weights


def check_sizes(config: object, weights: Mapping[str, Tensor], where: str = "") -> None:
    """Sizes in a configuration are believed only if the weights of the file are as many: else a few bytes would ask for
    all memory. Raises CheckpointError naming the first one that cannot be."""
    most = max(MIN_SIZE_LIMIT, sum(weight.numel() for weight in weights.values()))
    if isinstance(config, dict | list):
        items = config.items() if isinstance(config, dict) else enumerate(config)
        for name, value in items:
            check_sizes(value, weights, f"{where}.{name}")
    elif isinstance(config, int):
        most = len(weights) if where.endswith("layers") else most
        if abs(config) > most:
            raise CheckpointError(f"{where} is {config}; the file has weights for {most} at most")


def build(path: Path, make: Callable[[], M], weights: Mapping[str, Tensor]) -> M:
    """What `make` builds, with the weights of a file, in evaluation mode. It is built without memory first, and takes
    some only if the shapes are those of the weights. Draws nothing from the caller's random numbers.

    Raises CheckpointError naming the first weight that differs, RuntimeError for sizes that torch cannot build.
    """
    with torch.random.fork_rng(devices=[]):
        with _WithoutDraws(), torch.device("meta"):
            sketch = make()
        _check_fit(path, sketch, weights)
        module = make()
    module.load_state_dict(weights)
    return module.eval()


class _WithoutDraws(TorchFunctionMode):
    """Draws no normal random numbers: without memory there is nothing to fill, and torch would load its compiler for
    it, which takes seconds."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") == "normal_":
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def _check_fit(path: Path, module: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Raises CheckpointError naming the first weight which module and file do not share."""
    expected = module.state_dict()
    for name in [*expected, *weights]:
        have, want = weights.get(name), expected.get(name)
        if want is None:
            trouble = "is not part of the model"
        elif have is None:
            trouble = "is missing"
        elif have.shape != want.shape:
            trouble = f"has shape {tuple(have.shape)} instead of {tuple(want.shape)}"
        elif have.is_floating_point() != want.is_floating_point():
            trouble = f"is of type {have.dtype} instead of {want.dtype}"
        else:
            continue
        raise CheckpointError(
            f"{path}: its weights do not fit its configuration: {name} {trouble}; {RETRAIN}"
        )


def _write(path: Path, content: bytes) -> None:
    try:
        with files.atomic_write(path) as draft, draft.open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
    except OSError as error:
        reason = error.strerror or str(error)
        raise CheckpointError(
            f"{path}: cannot be written ({reason}); make room or choose another place, then try again"
        ) from None
