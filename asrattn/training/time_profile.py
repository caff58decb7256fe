"""Time profile of a run: the wall time of steps, input, validation and checkpoints."""

import logging
import time
from collections import defaultdict
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

from asrattn.training.callbacks import ResumeCheckpoint

log = logging.getLogger(__name__)


class TimeProfiler(Callback):
    """Seconds spent on steps, waiting for their input, validation, checkpoints, and the rest; logged at the end.

    The last callback, so that the work of the others counts where they do it.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._savers: list[ResumeCheckpoint] = []
        self._last = self._saved = 0.0

    def lap(self, name: str) -> None:
        before = self._last, self._saved
        self.restart()
        saved = self._saved - before[1]
        self.seconds["checkpoints"] += saved
        self.seconds[name] += self._last - before[0] - saved

    def restart(self) -> None:
        """Start a lap now; the time since the last one does not count."""
        self._last, self._saved = time.perf_counter(), sum(saver.save_seconds for saver in self._savers)

    def on_sanity_check_start(self, *_: Any) -> None:
        self.restart()  # the validation of the start counts

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        callbacks = trainer.callbacks  # type: ignore[attr-defined]
        self._savers = [each for each in callbacks if isinstance(each, ResumeCheckpoint)]
        self.restart()

    def on_train_batch_start(self, *_: Any) -> None:
        self.lap("input")

    def on_train_batch_end(self, *_: Any) -> None:
        self.lap("steps")

    def on_validation_start(self, *_: Any) -> None:
        self.lap("between")

    def on_validation_end(self, *_: Any) -> None:
        self.lap("validation")

    def on_train_epoch_end(self, *_: Any) -> None:
        self.lap("between")

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.lap("between")
        if trainer.is_global_zero:
            log.info("%s", self)

    def __str__(self) -> str:
        whole = sum(self.seconds.values())
        names = ("steps", "input", "validation", "checkpoints", "between")
        shares = ", ".join(f"{name} {100 * self.seconds[name] / max(whole, 1e-9):.1f} %" for name in names)
        return f"{whole:.0f} s: {shares}"
