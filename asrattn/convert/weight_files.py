"""Files of weights as data: safetensors, PyTorch (.pt, .bin) and several files with an index. None runs code."""

import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from asrattn.convert.model_folder import read_object
from asrattn.convert.source import COPY_AGAIN
from asrattn.errors import CheckpointError

INDEX_ENDING = ".index.json"
# What torch's reader raises for damaged files: it checks the zip, and the types of few entries.
DAMAGE = (
    RuntimeError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    AssertionError,
    OverflowError,
    MemoryError,
    NotImplementedError,
    zipfile.BadZipFile,
)


def read(path: Path) -> dict[str, Tensor]:
    """The weights of a .safetensors, a .bin, or of all the files of an index (.index.json).

    Raises CheckpointError naming the file, if it is missing or damaged, or holds anything but weights.
    """
    if path.name.endswith(INDEX_ENDING):
        return _read_shards(path)
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    return table(read_torch(path), path)


def table(plain: Any, path: Path) -> dict[str, Tensor]:
    """The value itself, if it is a table of weights. Raises CheckpointError."""
    if not isinstance(plain, dict) or not all(
        isinstance(name, str) and isinstance(weight, Tensor) for name, weight in plain.items()
    ):
        raise CheckpointError(f"{path}: holds no table of weights; name the weights of a model")
    return dict(plain)


def read_torch(path: Path) -> Any:
    """What torch.save wrote, on the CPU.

    Raises CheckpointError if the file is missing, damaged, or holds anything but tensors and plain values.
    """
    try:
        whole = zipfile.is_zipfile(path)
        if whole:
            return _load(path)
    except pickle.UnpicklingError:
        raise CheckpointError(
            f"{path}: holds code, or objects other than tensors, and is not loaded; "
            "save it as safetensors with the program that made it"
        ) from None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error})") from None
    except DAMAGE as error:
        raise CheckpointError(f"{path}: is truncated or damaged ({_detail(error)}); {COPY_AGAIN}") from None
    if not path.exists():
        raise CheckpointError(f"{path}: does not exist; name a file of weights")
    raise CheckpointError(f"{path}: is truncated, or no file of PyTorch; {COPY_AGAIN}")


def _load(path: Path) -> Any:
    """Indices of sparse tensors are checked: a damaged one would lead outside of the memory. What torch warns of are
    storages and pickles of other ages, which are read all the same."""
    with torch.sparse.check_sparse_tensor_invariants(), warnings.catch_warnings():  # type: ignore[no-untyped-call]
        warnings.simplefilter("ignore")
        return torch.load(path, map_location="cpu", weights_only=True)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (SafetensorError, KeyError, ValueError, RuntimeError, TypeError) as error:
        raise CheckpointError(f"{path}: is truncated or damaged ({_detail(error)}); {COPY_AGAIN}") from None


def _detail(error: BaseException) -> str:
    return str(error).partition("\n")[0][:80]


def _read_shards(index: Path) -> dict[str, Tensor]:
    """The weights of all files that an index names. Each must hold what the index says."""
    places = read_object(index).get("weight_map")
    if not isinstance(places, dict) or not all(_is_plain(name) for name in places.values()):
        raise CheckpointError(f"{index}: has no weight_map of files in the same folder; {COPY_AGAIN}")
    weights: dict[str, Tensor] = {}
    for name in sorted(set(places.values())):
        shard = read(index.parent / name)
        if shard.keys() != {weight for weight, file in places.items() if file == name}:
            raise CheckpointError(
                f"{index.parent / name}: holds other weights than {index.name} says; {COPY_AGAIN}"
            )
        weights |= shard
    return weights


def _is_plain(name: object) -> bool:
    return isinstance(name, str) and Path(name).name == name and name.endswith((".safetensors", ".bin"))


def write_safetensors(path: Path, weights: Mapping[str, Tensor]) -> None:
    """Each weight in its own memory, as the format wants it. Not atomic. Raises OSError."""
    from safetensors.torch import save_file

    separate: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, weight in weights.items():
        whole = weight.detach().cpu().contiguous()
        storage = whole.untyped_storage()
        shared = storage.data_ptr() in seen or storage.nbytes() != whole.nbytes
        separate[name] = whole.clone() if shared else whole
        seen.add(storage.data_ptr())
    path.touch()  # with the mode of other files; the library makes private ones
    mode = path.stat().st_mode
    save_file(separate, path, metadata={"format": "pt"})
    path.chmod(mode)
