"""Metrics of a run: metrics.csv, TensorBoard, one log line per epoch, sample hypotheses."""

import csv
import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from asrattn import files
from asrattn.attention_metrics import UNDEFINED_METRICS
from asrattn.model.losses import Losses
from asrattn.training.diagnostics import diagnose, diagnose_overfitting
from asrattn.training.module import SpeechLightningModule
from asrattn.training.validation import Validation

log = logging.getLogger(__name__)

PIXELS_PER_WEIGHT = 6  # width and height of an attention weight in the image


@dataclasses.dataclass
class RunProgress:
    """Progress of a run, over all its starts. Rates are fractions."""

    epochs: int = 0
    best: float | None = None
    best_epoch: int = 0
    worse: int = 0  # validations since the best one, as early stopping counts them
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    audio_seconds: float = 0.0
    train_seconds: float = 0.0  # wall time of training alone
    joules: float | None = None  # None if the platform does not report them


class MetricsLogger(Callback):
    """metrics.csv and TensorBoard, one row per epoch; hypotheses of some dev utterances in the log; an attention
    matrix in TensorBoard."""

    def __init__(self, out: Path, progress: Callable[[], RunProgress]) -> None:
        self.out = out
        self.progress = progress
        self._writer: Any = None

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        if trainer.is_global_zero:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(self.out / "tensorboard"))

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.is_global_zero:
            truncate_rows(self.out / "metrics.csv", self.progress().epochs)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, SpeechLightningModule)
        losses = pl_module.mean_losses()
        if not trainer.is_global_zero:
            return
        row = epoch_metrics(pl_module, losses, trainer, self.progress())
        append_row(self.out / "metrics.csv", row)
        for name, value in row.items():
            if value is not None and name != "epoch":
                self._writer.add_scalar(name, value, row["epoch"])
        if pl_module.validation is not None and pl_module.validation.attention_weights is not None:
            self._writer.add_image(
                "attention",
                attention_image(pl_module.validation.attention_weights),
                row["epoch"],
                dataformats="HW",
            )
        self._writer.flush()
        log.info("%s", format_epoch(row, pl_module.recipe.train.epochs))
        if pl_module.validation is not None:
            _log_samples(pl_module.validation, pl_module.recipe.train.samples)
            warning = diagnose(
                pl_module.validation,
                pl_module.recipe,
                trainer.global_step,
                pl_module.progress(),
                pl_module.history,
            )
            for found in filter(None, (warning, diagnose_overfitting(pl_module.history))):
                log.warning("%s", found)

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        if self._writer is not None:
            self._writer.close()


def attention_image(weights: Tensor) -> Tensor:
    """Attention weights (U, T) as a grey image, one row per token, darker for larger weights, enlarged."""
    strength = (weights / weights.max().clamp(min=1e-6)).clamp(0, 1).sqrt()
    return (1 - strength).repeat_interleave(PIXELS_PER_WEIGHT, 0).repeat_interleave(PIXELS_PER_WEIGHT, 1)


def epoch_metrics(
    module: SpeechLightningModule, losses: Losses, trainer: L.Trainer, progress: RunProgress
) -> dict[str, float | int | None]:
    """The row of an epoch; rates as fractions, None without a validation."""
    found = module.validation
    return {
        "epoch": progress.epochs,
        "step": trainer.global_step,
        "learning_rate": _learning_rate(trainer),
        **{f"train_{name}": float(mean) for name, mean in losses._asdict().items()},
        "dev_loss": found.loss if found else None,
        "dev_wer": found.wer if found else None,
        "dev_cer": found.cer if found else None,
        "dev_ctc_wer": found.ctc_wer if found else None,
        **{
            f"dev_{name}": value
            for name, value in (found.attention_metrics if found else UNDEFINED_METRICS).to_dict().items()
        },
        "audio_seconds_per_second": progress.audio_seconds / max(progress.train_seconds, 1e-9),
        "wall_seconds": progress.wall_seconds,
        "cpu_seconds": progress.cpu_seconds,
    }


def _learning_rate(trainer: L.Trainer) -> float:
    """That of the top layer, if layer-wise decay scales it."""
    group = trainer.optimizers[0].param_groups[0]
    rate: float = group["lr"] / group.get("lr_scale", 1.0)
    return rate


def truncate_rows(path: Path, epochs: int) -> None:
    """Delete the rows after `epochs`: the checkpoint that is resumed is older than they are."""
    if not path.is_file():
        return
    with path.open(newline="", encoding="utf-8") as table:
        heading, *rows = list(csv.reader(table)) or [[]]
    kept = [row for row in rows if row and row[0].isdigit() and int(row[0]) <= epochs]
    with files.atomic_write(path) as draft, draft.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows([heading, *kept])


def append_row(path: Path, row: dict[str, float | int | None]) -> None:
    """Append a row to a table; the first row writes the heading too."""
    new = not path.is_file() or not path.stat().st_size
    with path.open("a", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        if new:
            writer.writerow(row)
        writer.writerow("" if v is None else v for v in row.values())


def format_epoch(row: dict[str, Any], epochs: int) -> str:
    """An epoch in one line; without CTC in training it says nothing of CTC."""
    losses = f"loss {row['train_total']:.3f}"
    if row["train_ctc"]:
        losses += f" (attention {row['train_attention']:.3f}, CTC {row['train_ctc']:.3f})"
    parts = [f"epoch {row['epoch']}/{epochs}", f"step {row['step']}", losses]
    if row["dev_wer"] is not None:
        rates = f"dev WER {100 * row['dev_wer']:.1f} % CER {100 * row['dev_cer']:.1f} %"
        parts.append(rates + (f" (CTC greedy {100 * row['dev_ctc_wer']:.1f} %)" if row["train_ctc"] else ""))
        parts.append(f"dev loss {row['dev_loss']:.3f}")
    left = row["wall_seconds"] / row["epoch"] * (epochs - row["epoch"])
    parts += [f"{row['audio_seconds_per_second']:.0f} audio-s/s", f"{_format_time(left)} left"]
    return "   ".join(parts)


def _log_samples(found: Validation, count: int) -> None:
    """Reference and hypothesis of a few utterances, the same ones each time, spread over the set."""
    step = max(1, len(found.scored) // max(count, 1))
    for scored in found.scored[::step][:count]:
        log.info("  ref: %s\n  hyp: %s", scored.row.reference, scored.row.hypothesis)


def _format_time(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
