"""PyTorch file (.pt, .bin) as data: tensors and plain values only; a file that would run code is refused."""

import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from asrattn.convert.source import COPY_AGAIN
from asrattn.errors import CheckpointError

# What torch's reader raises for damaged files: it checks the zip, and the types of few entries.
DAMAGE = (
    RuntimeError, EOFError, ValueError, TypeError, LookupError, AttributeError, AssertionError, OverflowError,
    MemoryError, zipfile.BadZipFile,
)  # fmt: skip


def read(path: Path) -> Any:
    """What torch.save wrote, on the CPU.

    Raises CheckpointError if the file is missing, damaged, or holds anything but tensors and plain values.
    """
    try:
        whole = zipfile.is_zipfile(path)
        if whole:
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise CheckpointError(
            f"{path}: holds code, or objects other than tensors, and is not loaded; "
            "save it as safetensors with the program that made it"
        ) from None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error})") from None
    except DAMAGE as error:
        detail = str(error).partition("\n")[0][:80]
        raise CheckpointError(f"{path}: is truncated or damaged ({detail}); {COPY_AGAIN}") from None
    if not path.exists():
        raise CheckpointError(f"{path}: does not exist; name a file of weights")
    raise CheckpointError(f"{path}: is truncated, or no file of PyTorch; {COPY_AGAIN}")
