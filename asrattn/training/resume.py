"""Resuming a run: what has to be as before, and what may change but is told and kept in the card."""

import json
import logging
from pathlib import Path
from typing import Any, NamedTuple

from asrattn.config import JSONValue, to_plain, upgrade
from asrattn.errors import CheckpointError, ConfigError
from asrattn.training import checkpointing
from asrattn.training.finetune import differences, format_value

log = logging.getLogger(__name__)

SECTIONS = (
    "data",
    "augment",
    "loss",
    "train",
    "init",
)  # of a recipe: what the losses depend on beside the model
WITHOUT_EFFECT = {  # on the weights
    "max_nonfinite_steps",
    "normalize",
    "patience",
    "patience_start",
    "samples",
    "save_minutes",
    "validate_beam",
    "workers",
}


class SavedRun(NamedTuple):
    """A resume checkpoint: its file, what the module wrote of the run, whether an epoch is done in part."""

    path: Path
    about: dict[str, Any]
    within_epoch: bool


def load_run(out: Path, command: str, recipe: str = "recipe") -> SavedRun:
    """The last readable checkpoint of a folder. command: which wrote it; recipe: the entry with the recipe.

    Raises CheckpointError if none can be read, or it was written by another command.
    """
    path, content = checkpointing.load_latest(out)
    try:
        about = json.loads(content["asrattn"])
        batches = content["loops"]["fit_loop"]["epoch_loop.batch_progress"]
        within_epoch = bool(batches["current"]["ready"]) and not batches["is_last_batch"]
        if not isinstance(about[recipe], dict):
            raise TypeError
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        raise CheckpointError(
            f"{path}: was not written by {command}; name the folder of such a run"
        ) from None
    return SavedRun(path, about, within_epoch)


def check_same(saved: SavedRun, **same: bool) -> None:
    """Raises ConfigError for the first of these that is not as before: a resumed run could not go on with it."""
    for what, is_same in same.items():
        if not is_same:
            raise ConfigError(
                f"{saved.path}: belongs to a run with another {what}; name that one, or another folder"
            )


def check_seed(saved: SavedRun, seed: int) -> None:
    """Raises ConfigError for another seed: it would deal out the utterances anew in the middle of an epoch."""
    before = saved.about.get("seed", seed)
    if before != seed:
        raise ConfigError(
            f"{saved.path}: belongs to a run with another seed; resume it with --seed {before}, or name another folder"
        )


def note_changes(saved: SavedRun | None, recipe: object, entry: str, data: JSONValue) -> dict[str, JSONValue]:
    """What a checkpoint keeps of the origin of a run: the fingerprints of its data, and what was changed on resuming
    it, which is told. recipe: as it is now; entry: that of the saved one."""
    changes: list[JSONValue] = []
    if saved is not None:
        changes = list(saved.about.get("changes", []))
        changes += (new := _changes(saved, recipe, entry, data))
        if new:
            told = ", ".join(map(str, new))
            twice = saved.within_epoch and ("data." in told or "other data" in told)
            log.warning(
                "%s: resumed with %s; the result is not that of a run with one command%s",
                saved.path,
                told,
                ", and in this epoch utterances may come twice or not at all" if twice else "",
            )
    return {"data": data, "changes": changes}


def _changes(saved: SavedRun, recipe: object, entry: str, data: JSONValue) -> list[JSONValue]:
    before, now = upgrade(type(recipe), saved.about[entry]), to_plain(recipe)
    assert isinstance(before, dict)
    assert isinstance(now, dict)
    found: list[JSONValue] = [
        f"{name}={format_value(new)} (it was {format_value(old)})"
        for section in SECTIONS
        for name, old, new in differences(before.get(section), now.get(section), section, WITHOUT_EFFECT)
    ]
    old = saved.about.get("data")  # None in a checkpoint of asrattn 0.2.0
    if isinstance(old, dict) and isinstance(data, dict):
        found += [f"other data in {name}" for name in old if old[name] != data.get(name)]
    return found
