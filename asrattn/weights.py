"""The weights of a model file, a safetensors file: nothing in it is executable. Its JSON is read by `model_file`."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from asrattn import files
from asrattn.config import JSONValue
from asrattn.errors import CheckpointError
from asrattn.model_file import ENTRY, RETRAIN, VERSION


def save(
    path: Path, module: nn.Module, about: Mapping[str, JSONValue], dtype: torch.dtype | None = None
) -> None:
    """Write a file whole or not at all, the weights in `dtype`. Raises CheckpointError where the disk refuses."""
    # Cloned, since safetensors refuses tied weights and views; both are whole again after loading.
    weights = {name: _stored(w, dtype) for name, w in module.state_dict().items()}
    entry = json.dumps({"version": VERSION, **about}, ensure_ascii=False)
    _write(path, safetensors.torch.save(weights, {ENTRY: entry}))


def _stored(weight: Tensor, dtype: torch.dtype | None) -> Tensor:
    weight = weight.detach().cpu()
    if dtype is not None and weight.is_floating_point():
        weight = weight.to(dtype)
    return weight.contiguous().clone()


def load(path: Path) -> dict[str, Tensor]:
    """The weights of a file, by name. Runs nothing from it. Raises CheckpointError for what cannot be read."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (safetensors.SafetensorError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{path}: is truncated or damaged ({reason}); {RETRAIN}") from None


def load_into_module(path: Path, module: nn.Module, weights: Mapping[str, Tensor]) -> None:
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
