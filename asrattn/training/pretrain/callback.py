"""Callback of pre-training: metrics.csv, the best model file, early stopping, resume checkpoint, progress bar."""

import logging
import math
import sys
import time
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

from asrattn import checkpoint, provenance
from asrattn.config import JSONValue, to_plain
from asrattn.errors import DataError, StoppedError
from asrattn.text import Tokenizer
from asrattn.training import distributed, metrics_log
from asrattn.training.pretrain.module import PredictionTotals, PretrainLightningModule
from asrattn.training.run_folder import LAST_CHECKPOINT, METRICS, MODEL_FILE
from asrattn.training.signals import StopSignalHandler

log = logging.getLogger(__name__)


class PretrainCallback(Callback):
    """After each epoch a row in metrics.csv, the model file if the dev loss is the lowest so far, and last.ckpt.

    last.ckpt is also written every `train.save_minutes`, and on Ctrl-C, SIGTERM and SIGUSR1, after which the run stops.
    """

    def __init__(self, out: Path, tokenizer: Tokenizer, base_card: dict[str, JSONValue]) -> None:
        self.out, self.tokenizer, self.base_card = out, tokenizer, base_card
        self._signals = StopSignalHandler()
        self._bar: Any = None
        self._started = self._saved = 0.0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        from tqdm import tqdm

        assert isinstance(pl_module, PretrainLightningModule)
        if trainer.is_global_zero:
            metrics_log.truncate_rows(self.out / METRICS, len(pl_module.history))
        self._started = self._saved = time.perf_counter()
        self._bar = tqdm(
            total=1.0,
            initial=pl_module.progress(),
            disable=not (trainer.is_global_zero and sys.stderr.isatty()),
            leave=False,
            bar_format="{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}",
        )
        self._signals.install()

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        assert isinstance(pl_module, PretrainLightningModule)
        self._bar.update(pl_module.progress() - self._bar.n)
        due = time.perf_counter() - self._saved > 60 * pl_module.recipe.train.save_minutes
        stop, due = distributed.all_reduce_any((self._signals.name is not None, due), pl_module.device)
        if pl_module.steps < trainer.num_training_batches and (
            stop or due
        ):  # else the epoch's end comes next
            self._save_checkpoint(trainer)
            self._stop_if(stop, trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, PretrainLightningModule)
        totals, losses = pl_module.totals.all_reduce(), [each.loss for each in pl_module.history]
        if not pl_module.dev.predictions:
            raise DataError(
                "dev.jsonl: not a single frame was masked; give more dev audio, or raise bestrq.mask_prob"
            )
        if trainer.is_global_zero:
            if losses[-1] <= min(losses):
                self._save_model(trainer, pl_module)
            self._log_epoch(trainer, pl_module, totals)
        worse = len(losses) - 1 - losses.index(min(losses))
        if 0 < pl_module.recipe.train.patience <= worse:
            trainer.should_stop = True
            log.info("early stopping: no lower dev loss in %d epochs", worse)
        self._save_checkpoint(trainer)
        self._stop_if(
            distributed.all_reduce_any((self._signals.name is not None,), pl_module.device)[0], trainer
        )

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        if self._bar is not None:
            self._bar.close()

    def _save_checkpoint(self, trainer: L.Trainer) -> None:
        trainer.save_checkpoint(self.out / LAST_CHECKPOINT)
        self._saved = time.perf_counter()

    def _stop_if(self, stop: bool, trainer: L.Trainer) -> None:
        if stop:
            self._signals.ignore()
            name = self._signals.name or "a signal to another process"
            raise StoppedError(
                f"stopped by {name} in epoch {trainer.current_epoch + 1}; {self.out / LAST_CHECKPOINT} is up to date: "
                "resume with --resume"
            )

    def _save_model(self, trainer: L.Trainer, module: PretrainLightningModule) -> None:
        pretraining: dict[str, JSONValue] = {
            "method": "BEST-RQ",
            "config": to_plain(module.recipe.bestrq),
            "dev_accuracy": round(module.dev.accuracy, 4),
            "dev_majority": round(module.usage.majority, 4),
            "dev_loss": round(module.dev.loss, 4),
            "dev_prior_loss": round(module.usage.entropy, 4),
            "hours": self.base_card.get("hours"),
            "epochs": trainer.current_epoch + 1,
            "updates": trainer.global_step,
            "hardware": provenance.hardware(trainer.strategy.root_device, trainer.world_size),
        }
        known = {name: value for name, value in self.base_card.items() if name != "hours"}
        card = {**known, "pretraining": pretraining}
        checkpoint.save(self.out / MODEL_FILE, module.network.speech, self.tokenizer, card)

    def _log_epoch(
        self, trainer: L.Trainer, module: PretrainLightningModule, train: PredictionTotals
    ) -> None:
        dev, usage = module.dev, module.usage
        row: dict[str, float | int | None] = {
            "epoch": trainer.current_epoch + 1,
            "step": trainer.global_step,
            "learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
            "train_loss": None if math.isnan(train.loss) else train.loss,
            "train_accuracy": None if math.isnan(train.loss) else train.accuracy,
            "dev_loss": dev.loss,
            "dev_accuracy": dev.accuracy,
            "dev_majority": usage.majority,
            "dev_prior_loss": usage.entropy,
            "dev_codes_used": usage.used,
            "dev_code_perplexity": usage.perplexity,
            "wall_seconds": time.perf_counter() - self._started,
        }
        metrics_log.append_row(self.out / METRICS, row)
        self._bar.clear()
        log.info(
            "epoch %d/%d   step %d   loss %.3f   dev loss %.3f (prior %.3f)   "
            "dev accuracy %.1f %% (most frequent code %.1f %%)",
            trainer.current_epoch + 1,
            module.recipe.train.epochs,
            trainer.global_step,
            train.loss,
            dev.loss,
            usage.entropy,
            100 * dev.accuracy,
            100 * usage.majority,
        )
