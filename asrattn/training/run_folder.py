"""Output folder of a training run: its file names; whether a run may start or resume there. Needs no torch."""

from pathlib import Path

from asrattn import files
from asrattn.errors import CheckpointError, ConfigError

MODEL_FILE = "model.safetensors"
LAST_CHECKPOINT = "last.ckpt"
PREVIOUS_CHECKPOINT = "last.earlier.ckpt"
METRICS = "metrics.csv"
RUN_FILES = (LAST_CHECKPOINT, PREVIOUS_CHECKPOINT, MODEL_FILE, METRICS)  # one of them: the folder holds a run


def prepare_out_dir(out: Path, resume: bool) -> None:
    """Make the folder of a new run, or check that it holds a run to resume.

    Raises ConfigError if it holds a run and `resume` is not set, or cannot be made or written; CheckpointError
    if there is nothing to resume.
    """
    found = [name for name in RUN_FILES if (out / name).exists()]
    if found and not resume:
        raise ConfigError(
            f"{out}: holds a run already ({', '.join(found)}); add --resume, or name another folder"
        )
    if resume and not any((out / name).is_file() for name in (LAST_CHECKPOINT, PREVIOUS_CHECKPOINT)):
        raise nothing_to_resume(out / LAST_CHECKPOINT)
    files.make_folder(out)


def nothing_to_resume(last: Path) -> CheckpointError:
    return CheckpointError(f"{last}: does not exist; there is nothing to resume, leave --resume out")
