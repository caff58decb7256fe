"""Lightning's trainer as every run uses it: devices, precision, checkpoints that appear whole or not at all."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import lightning as L
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.strategies import Strategy

from asrattn.errors import CheckpointError, ConfigError, PeerFailureError
from asrattn.training import checkpointing, distributed, run_folder
from asrattn.training.precision import LIGHTNING_PRECISION
from asrattn.training.recipe import Precision


def build(
    callbacks: Sequence[Callback],
    devices: int,
    accelerator: str,
    precision: Precision,
    epochs: int,
    strategy: Strategy | str,
    nodes: int = 1,
    validate_every: int = 1,
    validate_start: bool = False,
    clip: float = 0.0,
) -> L.Trainer:
    """clip: maximum gradient norm, for a module that does not clip itself; 0 does not clip.

    Raises ConfigError for devices that do not exist, or a precision that they do not support."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        return L.Trainer(
            accelerator=accelerator,
            devices=devices,
            num_nodes=nodes,
            strategy=strategy,
            precision=LIGHTNING_PRECISION[precision],  # type: ignore[arg-type]
            max_epochs=epochs,
            gradient_clip_val=clip or None,
            check_val_every_n_epoch=validate_every,
            reload_dataloaders_every_n_epochs=1,
            num_sanity_val_steps=-1 if validate_start else 0,  # the whole dev set, or none of it
            use_distributed_sampler=False,
            callbacks=list(callbacks),
            plugins=[checkpointing.AtomicCheckpointIO()],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
    except (MisconfigurationException, ValueError, RuntimeError) as error:
        raise ConfigError(f"--devices {devices} --precision {precision}: {_first_line(error)}") from None


@contextmanager
def own_folder(out: Path, resume: bool) -> Iterator[None]:
    """The folder of a run, prepared by rank 0 and locked by it while the block runs. Raises as
    `run_folder.prepare_out_dir`."""
    with ExitStack() as stack:
        if distributed.is_rank_zero():  # the first to write
            run_folder.prepare_out_dir(out, resume)
            stack.enter_context(run_folder.locked(out))
        yield


class _RestoreWatch(Callback):
    """Whether a checkpoint is restored: afterwards training starts, or there is nothing left to do."""

    def __init__(self) -> None:
        self.restored = False

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.restored = True

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.restored = True


def run(
    trainer: L.Trainer, module: L.LightningModule, datamodule: L.LightningDataModule, last: Path | None
) -> None:
    """Train; resume from the checkpoint `last` if there is one. Raises PeerFailureError, and CheckpointError for a
    checkpoint in which something is missing or of another kind."""
    watch = _RestoreWatch()
    trainer.callbacks.insert(0, watch)  # type: ignore[attr-defined]
    with warnings.catch_warnings():
        silence_lightning_warnings()
        try:
            trainer.fit(module, datamodule=datamodule, ckpt_path=last, weights_only=True)
        except (RuntimeError, LookupError, TypeError, ValueError, AttributeError) as error:
            if distributed.is_peer_failure(error):
                raise PeerFailureError(
                    f"another process of the run is gone, or did not answer ({_first_line(error)}); see its log, "
                    "and continue with --resume"
                ) from None
            if last is None or watch.restored:
                raise
            raise CheckpointError(
                f"{last}: cannot be resumed from ({type(error).__name__}: {_first_line(error):.200}); "
                "start again in another folder"
            ) from error


def silence_lightning_warnings() -> None:
    """Ignore those of Lightning's warnings that do not apply here, each by its text."""
    for message in (
        r".*isinstance\(treespec, LeafSpec\)` is deprecated.*",
        r".*does not have many workers which may be a bottleneck.*",  # decoded audio is in memory
        r".*Found \d+ module\(s\) in eval mode at the start of training.*",
        r".*You have overridden `.*` in `LightningModule`.*",
        r".*resuming from a checkpoint that ended before the epoch ended.*",  # the data module resumes at the step
        r".*Trying to infer the `batch_size` from an ambiguous collection.*",
    ):
        warnings.filterwarnings("ignore", message=message)


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
