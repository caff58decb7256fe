"""Output folder of a training run: file names; whether a run may start or resume there; its lock. Needs no torch."""

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from asrattn import files
from asrattn.errors import CheckpointError, ConfigError

MODEL_FILE = "model.safetensors"
LAST_CHECKPOINT = "last.ckpt"
PREVIOUS_CHECKPOINT = "last.earlier.ckpt"
METRICS = "metrics.csv"
LOCK = "run.lock"
RUN_FILES = (LAST_CHECKPOINT, PREVIOUS_CHECKPOINT, MODEL_FILE, METRICS)  # one of them: the folder holds a run


def prepare_out_dir(out: Path, resume: bool) -> None:
    """Make the folder of a new run, or check that it holds a run to resume.

    Raises ConfigError if it holds a run and `resume` is not set, if another process trains in it, or if it cannot be
    made or written; CheckpointError if there is nothing to resume.
    """
    found = [name for name in RUN_FILES if (out / name).exists()]
    if found and not resume:
        raise ConfigError(
            f"{out}: holds a run already ({', '.join(found)}); add --resume, or name another folder"
        )
    if resume and not any((out / name).is_file() for name in (LAST_CHECKPOINT, PREVIOUS_CHECKPOINT)):
        raise nothing_to_resume(out / LAST_CHECKPOINT)
    files.make_folder(out)
    if _is_first_process():
        with locked(out):
            pass


@contextlib.contextmanager
def locked(out: Path) -> Iterator[None]:
    """No other process trains in this folder while the block runs. The lock of a process that died is none.

    Raises ConfigError if another one does.
    """
    path = out / LOCK
    held = files.try_lock(path)
    if held is None:
        holder = path.read_text(encoding="utf-8", errors="replace").strip()
        raise ConfigError(
            f"{out}: another run trains in this folder ({holder}); wait for it, stop it, or name another folder"
        )
    try:
        os.ftruncate(held, 0)
        os.write(held, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        yield
    finally:
        os.close(held)  # the file stays: one that goes could be locked by two


def _is_first_process() -> bool:
    """Whether this is the process of rank 0, as Lightning's and torch's launchers say."""
    ranks = (os.environ.get(name) for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"))
    return next((rank for rank in ranks if rank is not None), "0") == "0"


def nothing_to_resume(last: Path) -> CheckpointError:
    return CheckpointError(f"{last}: does not exist; there is nothing to resume, leave --resume out")
