"""Lightning's trainer as every run uses it: devices, precision, checkpoints that appear whole or not at all."""

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path

import lightning as L
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.strategies import Strategy

from asrattn.errors import ConfigError, PeerFailureError
from asrattn.training import checkpointing, distributed
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


def run(
    trainer: L.Trainer, module: L.LightningModule, datamodule: L.LightningDataModule, last: Path | None
) -> None:
    """Train; resume from the checkpoint `last` if there is one. Raises PeerFailureError."""
    with warnings.catch_warnings():
        silence_lightning_warnings()
        try:
            trainer.fit(module, datamodule=datamodule, ckpt_path=last, weights_only=True)
        except RuntimeError as error:
            if not distributed.is_peer_failure(error):
                raise
            raise PeerFailureError(
                f"another process of the run is gone, or did not answer ({_first_line(error)}); see its log, "
                "and continue with --resume"
            ) from None


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
