"""The model file: weights, the JSON of what they mean, and nothing executable.

A safetensors file whose metadata has one entry, `asrattn`: a JSON object of the format version, the ModelConfig, the
tokenizer, the result card and the SearchConfig the model was judged with. One entry rather than five because
safetensors shuffles them: this way the same model makes the same bytes.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from asrattn import files, text
from asrattn.config import Plain, from_plain, to_plain
from asrattn.errors import AsrattnError, CheckpointError
from asrattn.model import ModelConfig, SpeechModel
from asrattn.search import SearchConfig
from asrattn.text import Tokenizer

VERSION = 1
_ENTRY = "asrattn"
_LENGTH_BYTES = 8  # a safetensors file begins with the length of its header, little-endian
_RETRAIN = "copy the file again, or train it again"


class Saved(NamedTuple):
    """A model file in memory; the model is in evaluation mode. The card is what is known of it: dev_wer, seed, …"""

    model: SpeechModel
    tokenizer: Tokenizer
    card: dict[str, Plain]
    search: SearchConfig


def save(
    path: Path,
    model: SpeechModel,
    tokenizer: Tokenizer,
    card: Mapping[str, Plain],
    search: SearchConfig | None = None,
) -> None:
    """Write a model file whole or not at all. Raises CheckpointError where the disk refuses."""
    plain = {
        "version": VERSION,
        "model": to_plain(model.config),
        "tokenizer": tokenizer.to_plain(),
        "card": dict(card),
        "search": to_plain(search or SearchConfig()),
    }
    # Cloned, since safetensors refuses tied weights and views; both are whole again after loading.
    weights = {name: w.detach().cpu().contiguous().clone() for name, w in model.state_dict().items()}
    content = safetensors.torch.save(weights, {_ENTRY: json.dumps(plain, ensure_ascii=False)})
    _write(Path(path), content)


def load(path: Path, device: torch.device | str = "cpu") -> Saved:
    """The model of a file, on the device, in evaluation mode. Runs nothing from the file.

    Raises CheckpointError naming the file and what is wrong with it: missing, truncated, of another kind or format
    version, a damaged configuration, weights that do not fit it.
    """
    path = Path(path)
    _inspect(path)
    plain, weights = _read(path)
    saved = _assemble(path, plain)
    _fit(path, saved.model, weights)
    saved.model.load_state_dict(weights)
    saved.model.eval().to(device)
    return saved


def average(paths: Sequence[Path]) -> Saved:
    """The mean of the weights of several model files; everything else is the last one's.

    Raises CheckpointError where their configurations or tokenizers differ.
    """
    if not paths:
        raise CheckpointError("no model file to average; name at least one")
    *others, last = [load(path) for path in paths]
    for path, other in zip(paths, others, strict=False):
        same = other.model.config == last.model.config
        if not (same and other.tokenizer.to_plain() == last.tokenizer.to_plain()):
            raise CheckpointError(
                f"{path}: differs from {paths[-1]} in more than weights; average one run only"
            )
    states = [saved.model.state_dict() for saved in (*others, last)]
    last.model.load_state_dict({name: _mean([s[name] for s in states]) for name in states[-1]})
    return last


def _mean(values: list[Tensor]) -> Tensor:
    if not values[-1].is_floating_point():  # counters: the last one's stands
        return values[-1]
    return torch.stack([v.double() for v in values]).mean(0).to(values[-1].dtype)


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
        raise CheckpointError(f"{path}: is empty; {_RETRAIN}")
    if start[_LENGTH_BYTES:] != b"{":
        _refuse(path, start)
    header = int.from_bytes(start[:_LENGTH_BYTES], "little")
    if header > size - _LENGTH_BYTES:
        raise CheckpointError(
            f"{path}: is truncated or damaged (a header of {header} bytes in a file of {size}); {_RETRAIN}"
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
        raise CheckpointError(f"{path}: is truncated or damaged ({reason}); {_RETRAIN}") from None
    if entry is None:
        raise CheckpointError(
            f"{path}: is a safetensors file, but no asrattn model; name a model.safetensors"
        )
    try:
        plain = json.loads(entry)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: its configuration is no JSON ({error}); {_RETRAIN}") from None
    if not isinstance(plain, dict):
        raise CheckpointError(f"{path}: its configuration is no JSON object; {_RETRAIN}")
    return plain, weights


def _assemble(path: Path, plain: dict[str, Any]) -> Saved:
    """Model with untrained weights, tokenizer, card and search of the JSON."""
    if plain.get("version") != VERSION:
        raise CheckpointError(
            f"{path}: has format version {plain.get('version')!r}, this asrattn reads {VERSION}; "
            "use the asrattn that wrote it, or train it again"
        )
    missing = {"model", "tokenizer", "card", "search"} - plain.keys()
    if missing or not isinstance(plain["card"], dict):
        raise CheckpointError(
            f"{path}: its configuration lacks {', '.join(sorted(missing)) or 'a card'}; {_RETRAIN}"
        )
    try:
        config = from_plain(ModelConfig, plain["model"], "model")
        tokenizer = text.from_plain(plain["tokenizer"])
        search = from_plain(SearchConfig, plain["search"], "search")
        with torch.random.fork_rng(devices=[]):  # loading draws nothing from the caller's random numbers
            model = SpeechModel(config)
    except (
        AsrattnError,
        RuntimeError,
    ) as error:  # RuntimeError: torch cannot allocate what the file asks for
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{path}: its configuration is damaged ({reason}); {_RETRAIN}") from None
    if tokenizer.size != config.vocabulary:
        raise CheckpointError(
            f"{path}: its tokenizer has {tokenizer.size} tokens, its model {config.vocabulary}; {_RETRAIN}"
        )
    return Saved(model, tokenizer, plain["card"], search)


def _fit(path: Path, model: SpeechModel, weights: Mapping[str, Tensor]) -> None:
    """Raise CheckpointError naming the first weight which the model and the file do not share."""
    expected = model.state_dict()
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
            f"{path}: its weights do not fit its configuration: {name} {trouble}; {_RETRAIN}"
        )
