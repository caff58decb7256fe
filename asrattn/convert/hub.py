"""Folders of Hugging Face: a local one or the cache of a hub name; their JSON, weights and licence.

Nothing in them is executed: `trust_remote_code` is never used, and a pickle is read as weights only.
"""

import json
import re
from pathlib import Path
from typing import Any

from torch import Tensor

from asrattn import weights
from asrattn.errors import CheckpointError, ConfigError

SAFETENSORS, PICKLE = "model.safetensors", "pytorch_model.bin"
INDEX = ".index.json"  # follows the name of weights that are spread over several files
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_TEXTS = ("config.json", "preprocessor_config.json", "README.md", "LICENSE*")


def local_folder(source: Path | str) -> Path:
    """The folder itself, or that of a hub name such as facebook/wav2vec2-base, which is downloaded once.

    Raises CheckpointError if there is neither, ConfigError if huggingface_hub is missing.
    """
    folder = Path(source)
    if folder.is_dir():
        return folder
    if folder.exists() or not _HUB_NAME.fullmatch(str(source)):
        what = "is not a folder" if folder.exists() else "does not exist"
        raise CheckpointError(
            f"{source}: {what}; name a folder with a config.json, or a model such as owner/name"
        )
    return _download(str(source))


def _download(name: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise ConfigError(f"{name}: a download needs huggingface_hub; pip install asrattn[hf]") from None
    try:
        folder = Path(
            snapshot_download(name, allow_patterns=[*_TEXTS, "model*.safetensors", SAFETENSORS + INDEX])
        )
        if not any(folder.glob("model*.safetensors")):
            snapshot_download(name, allow_patterns=["pytorch_model*.bin", PICKLE + INDEX])
    except (OSError, ValueError) as error:  # of the hub: no such name, no right to it, no network connection
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CheckpointError(
            f"{name}: is no local folder and cannot be downloaded ({reason}); check the name and the network connection, "
            "or name a folder"
        ) from None
    return folder


def read_json(path: Path) -> dict[str, Any]:
    """Raises CheckpointError for a file that is missing or holds no JSON object."""
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(
            f"{path}: does not exist; download the folder again, with all its files"
        ) from None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: is no JSON ({error}); download it again") from None
    if not isinstance(plain, dict):
        raise CheckpointError(f"{path}: is no JSON object; download it again")
    return plain


def read_weights(folder: Path) -> dict[str, Tensor]:
    """Weights by name, of model.safetensors if there is one, else of pytorch_model.bin; both may be several files.

    Raises CheckpointError for files that are missing, truncated or hold anything but weights.
    """
    for name, read in ((SAFETENSORS, weights.load), (PICKLE, _read_pickle)):
        if (folder / name).is_file():
            return read(folder / name)
        index = folder / f"{name}{INDEX}"
        if index.is_file():
            return {k: w for part in _parts(index) for k, w in read(part).items()}
    raise CheckpointError(f"{folder}: holds neither {SAFETENSORS} nor {PICKLE}; download the folder again")


def licence(folder: Path) -> str:
    """As the README's front matter, config.json or the first line of LICENSE says it; "unknown" if none does."""
    readme, terms = folder / "README.md", folder / "LICENSE"
    if readme.is_file():
        head = readme.read_text(encoding="utf-8", errors="replace").partition("---")[2].partition("\n---")[0]
        if found := re.search(r"^license: *[\"']?([^\"'\n]+)", head, re.MULTILINE):
            return found[1].strip()
    stated = read_json(folder / "config.json").get("license")
    if isinstance(stated, str):
        return stated
    lines = terms.read_text(encoding="utf-8", errors="replace").split("\n") if terms.is_file() else []
    return next((line.strip() for line in lines if line.strip()), "unknown")


def _parts(index: Path) -> list[Path]:
    """The files of an index, all of its own folder."""
    places = read_json(index).get("weight_map")
    names = sorted(set(places.values())) if isinstance(places, dict) else []
    if not names or any(not isinstance(name, str) or Path(name).name != name for name in names):
        raise CheckpointError(f"{index}: does not say which files hold the weights; download it again")
    for name in names:
        if not (index.parent / name).is_file():
            raise CheckpointError(f"{index.parent / name}: does not exist; download the folder again")
    return [index.parent / name for name in names]


def _read_pickle(path: Path) -> dict[str, Tensor]:
    import pickle

    import torch

    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, LookupError) as error:
        reason = str(error).strip().splitlines()[0][:120] if str(error).strip() else type(error).__name__
        raise CheckpointError(
            f"{path}: is damaged or holds more than weights, which is never loaded ({reason}); use {SAFETENSORS}"
        ) from None
    if not isinstance(found, dict) or not all(isinstance(w, Tensor) for w in found.values()):
        raise CheckpointError(f"{path}: holds more than weights; use {SAFETENSORS}")
    return found
