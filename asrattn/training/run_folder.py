"""The folder of a training run: what stands in it, and whether a run may begin or go on there. Needs no torch."""

from pathlib import Path

from asrattn import files
from asrattn.errors import CheckpointError, ConfigError

MODEL_FILE = "model.safetensors"
LAST_CHECKPOINT = "last.ckpt"
PREVIOUS_CHECKPOINT = "last.earlier.ckpt"
METRICS = "metrics.csv"
RUN_FILES = (
    LAST_CHECKPOINT,
    PREVIOUS_CHECKPOINT,
    MODEL_FILE,
    METRICS,
)  # what shows that a folder holds a run


def prepare_out_dir(out: Path, resume: bool) -> None:
    """Make the folder of a run that begins, or find in it what is to be resumed.

    Raises ConfigError where it holds a run that is not to be resumed, or cannot be made or written; CheckpointError
    where there is nothing to resume.
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
