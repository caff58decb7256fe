"""Checkpoint files to resume from (last.ckpt): atomic writes, no code executed on loading, the previous one kept.

What resume restores is written by `SpeechLightningModule.on_save_checkpoint`, by Lightning and by the callbacks.
"""

import logging
import os
import pickle
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO

from asrattn import deprecated
from asrattn.errors import CheckpointError
from asrattn.training.run_folder import LAST_CHECKPOINT, PREVIOUS_CHECKPOINT, nothing_to_resume

log = logging.getLogger(__name__)

_PARTS = {"callbacks", "epoch", "global_step", "loops", "optimizer_states", "state_dict"}
_DAMAGE = (
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)  # what zipfile, pickle and torch raise for a damaged file


class AtomicCheckpointIO(TorchCheckpointIO):
    """Lightning's checkpoint IO with atomic writes (temporary file, then rename): a full disk spoils no file."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Raises CheckpointError if the disk refuses."""
        target = Path(path)
        draft = target.with_name(target.name + ".part")
        try:
            with draft.open("wb") as out:
                torch.save(checkpoint, out)
                out.flush()
                os.fsync(out.fileno())
            if target.is_file():
                target.replace(target.with_name(PREVIOUS_CHECKPOINT))
            draft.replace(target)
        except (OSError, RuntimeError) as error:  # RuntimeError: torch's zip writer, on a full disk
            draft.unlink(missing_ok=True)
            kept = "; the earlier one is intact" if target.is_file() else ""
            reason = str(getattr(error, "strerror", None) or error).splitlines()[0]
            raise CheckpointError(
                f"{target}: cannot be written ({reason}){kept}; make room and --resume"
            ) from None

    def load_checkpoint(
        self, path: Any, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """The states of callbacks are keyed by the current names of their classes."""
        checkpoint: dict[str, Any] = super().load_checkpoint(path, map_location, weights_only)
        checkpoint["callbacks"] = deprecated.current_callbacks(checkpoint.get("callbacks", {}))
        return checkpoint


def delete_checkpoints(folder: Path) -> None:
    """Delete the resume checkpoints of a finished run: each is as large as three models."""
    for name in (LAST_CHECKPOINT, PREVIOUS_CHECKPOINT):
        (folder / name).unlink(missing_ok=True)


def load_latest(folder: Path) -> tuple[Path, dict[str, Any]]:
    """The last readable checkpoint of a run and its content: last.ckpt, or the previous one if that is damaged.

    Raises CheckpointError, about last.ckpt, if neither can be read.
    """
    last, earlier = folder / LAST_CHECKPOINT, folder / PREVIOUS_CHECKPOINT
    try:
        return last, load(last)
    except CheckpointError as error:
        if not earlier.is_file():
            raise
        content = load(earlier)
        log.warning("%s; resumed from %s, which is older", str(error).partition(";")[0], earlier)
        return earlier, content


def load(path: Path) -> dict[str, Any]:
    """The content of a last.ckpt. Raises CheckpointError if the file is missing, damaged or of another kind."""
    if not path.is_file():
        raise nothing_to_resume(path)
    try:
        _verify(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except _DAMAGE as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise CheckpointError(
            f"{path}: is truncated, damaged or not a checkpoint of a run ({reason:.200})"
        ) from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: is not a checkpoint of a run")
    missing = sorted(name for name in _PARTS if content.get(name, []) in ([], None))
    if missing and "asrattn" in content:  # another program's is recognised by who reads it
        raise CheckpointError(f"{path}: is not a checkpoint of a run; it lacks {', '.join(missing)}")
    return content


def _verify(path: Path) -> None:
    """Hold every part of a checkpoint against its checksum (CRC-32), which torch writes and does not read. Checkpoints
    of all versions have them. Raises zipfile.BadZipFile, or as zipfile does."""
    with zipfile.ZipFile(path) as parts:
        damaged = parts.testzip()
    if damaged is not None:
        raise zipfile.BadZipFile(f"the checksum of {damaged} differs")
