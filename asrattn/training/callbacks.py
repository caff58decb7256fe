"""Callbacks of a training run: best checkpoint, early stopping, resume checkpoint, progress bar."""

import dataclasses
import json
import logging
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import lightning as L
from lightning.pytorch.callbacks import Callback

from asrattn import checkpoint
from asrattn.config import JSONValue
from asrattn.errors import StoppedError
from asrattn.provenance import EnergyMeter
from asrattn.training import distributed
from asrattn.training.metrics_log import RunProgress
from asrattn.training.module import SpeechLightningModule
from asrattn.training.run_folder import LAST_CHECKPOINT, MODEL_FILE
from asrattn.training.signals import StopSignalHandler
from asrattn.training.validation import Validation

log = logging.getLogger(__name__)


class BestCheckpoint(Callback):
    """Best checkpoint and early stopping, after each epoch: the model file if its dev WER is the lowest so far; the
    run stops after `train.patience` validations without a lower one. With `train.validate_start` the start is the first
    candidate, as epoch 0. Also the clock and the energy of the run.

    card     metadata of the run, for the model file
    """

    def __init__(self, out: Path, card: Callable[[RunProgress, Validation], dict[str, JSONValue]]) -> None:
        self.out = out
        self.card = card
        self.progress = RunProgress()
        self._wall = self._cpu = self._started = 0.0
        self._meter = EnergyMeter()
        self._earlier: float | None = None  # joules used before the run was resumed

    def state_dict(self) -> dict[str, Any]:
        return {"progress": json.dumps(dataclasses.asdict(self.progress))}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.progress = RunProgress(**json.loads(state_dict["progress"]))
        self._earlier = self.progress.joules

    def on_sanity_check_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()
        self._started = self._wall

    def on_sanity_check_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """The validation of the start, which Lightning runs as its sanity check; not for a resumed run."""
        assert isinstance(pl_module, SpeechLightningModule)
        validation = pl_module.validation
        assert validation is not None
        wall, cpu = time.perf_counter(), time.process_time()
        self.progress.wall_seconds += wall - self._wall
        self.progress.cpu_seconds += cpu - self._cpu
        self._is_best(validation, trainer)
        self._save(pl_module, validation, trainer)
        if trainer.is_global_zero:
            log.info("start: dev WER %.1f %% CER %.1f %%", 100 * validation.wer, 100 * validation.cer)

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, SpeechLightningModule)
        start = pl_module.start_wer
        if trainer.is_global_zero and start is not None and self.progress.best_epoch == 0:
            log.warning("no epoch was better than the start: dev WER %.1f %%", 100 * start)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()
        self._begin(trainer, pl_module)  # on_train_epoch_start is not called for a resumed epoch

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._begin(trainer, pl_module)

    def on_train_batch_end(self, *_: Any) -> None:
        self._meter.joules()  # its counters come around

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.progress.train_seconds += time.perf_counter() - self._started
        self._started = time.perf_counter()

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._started = time.perf_counter()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, SpeechLightningModule)
        self._advance(trainer, pl_module)
        validation = pl_module.validation
        if validation is not None and self._is_best(validation, trainer):
            self._save(pl_module, validation, trainer)
        patience = pl_module.recipe.train.patience
        if patience and self.progress.worse >= patience:
            trainer.should_stop = True
            if trainer.is_global_zero:
                log.info("early stopping: no better WER in %d validations", patience)

    def update_times(self, trainer: L.Trainer) -> None:
        """Add the time since the last update to the clock of the run."""
        wall, cpu = time.perf_counter(), time.process_time()
        self.progress.train_seconds += wall - self._started
        self.progress.wall_seconds += wall - self._wall
        self.progress.cpu_seconds += cpu - self._cpu
        self._wall, self._cpu, self._started = wall, cpu, wall
        joules = self._meter.joules()
        if joules is not None:
            self.progress.joules = joules + (self._earlier or 0.0)

    def _begin(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._started = time.perf_counter()
        assert isinstance(module, SpeechLightningModule)
        config = module.recipe.train
        last = trainer.current_epoch + 1 == config.epochs  # it is always validated: there must be a model
        trainer.check_val_every_n_epoch = 1 if last else config.validate_every

    def _advance(self, trainer: L.Trainer, module: SpeechLightningModule) -> None:
        self.update_times(trainer)
        self.progress.epochs = trainer.current_epoch + 1
        self.progress.audio_seconds += module.seconds * trainer.world_size

    def _is_best(self, validation: Validation, trainer: L.Trainer) -> bool:
        """Of equal WERs the later checkpoint is the best: it was trained longer."""
        progress = self.progress
        if progress.best is None or validation.wer <= progress.best:
            progress.best, progress.best_epoch, progress.worse = validation.wer, progress.epochs, 0
            return True
        assert isinstance(trainer.lightning_module, SpeechLightningModule)
        counted = trainer.global_step > trainer.lightning_module.recipe.train.patience_start
        progress.worse += counted
        return False

    def _save(self, module: SpeechLightningModule, validation: Validation, trainer: L.Trainer) -> None:
        if not trainer.is_global_zero:
            return
        card = self.card(self.progress, validation)
        checkpoint.save(
            self.out / MODEL_FILE, module.eval_model, module.tokenizer, card, module.recipe.decoding
        )


class ResumeCheckpoint(Callback):
    """Resume checkpoint (last.ckpt): written at the start, every `train.save_minutes`, after each epoch, on a signal.

    Lightning adds the states of optimizer and callbacks to what `SpeechLightningModule.on_save_checkpoint` writes.
    Ctrl-C, SIGTERM and SIGUSR1 let all processes finish their step, save and stop.
    """

    def __init__(self, best_checkpoint: BestCheckpoint) -> None:
        self.path = best_checkpoint.out / LAST_CHECKPOINT
        self.best_checkpoint = best_checkpoint
        self.save_seconds = 0.0  # total time spent on saving
        self._saved = 0.0
        self._signals = StopSignalHandler()

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        # From here on there is always a checkpoint to resume from. Not with FSDP: saving would initialise the
        # optimizer's state, which counts as a step.
        if (
            self.best_checkpoint.progress.epochs == 0
            and not self.path.is_file()
            and not distributed.is_sharded(pl_module)
        ):
            self._save(trainer)
        self._saved = time.monotonic()
        self._signals.install()

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        assert isinstance(pl_module, SpeechLightningModule)
        due = time.monotonic() - self._saved > 60 * pl_module.recipe.train.save_minutes
        stop, due = distributed.all_reduce_any((self._signals.name is not None, due), pl_module.device)
        if pl_module.steps == trainer.num_training_batches:
            return  # the epoch's end comes next
        if stop or due:
            self.best_checkpoint.update_times(trainer)
            self._save(trainer)
        if stop:
            self._stop(trainer)

    def on_validation_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        if self._signals.name is not None and trainer.world_size == 1:
            self._stop(trainer)  # with the last checkpoint: a validation cannot be resumed in the middle

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._save(trainer)
        if distributed.all_reduce_any((self._signals.name is not None,), pl_module.device)[0]:
            self._stop(trainer)

    def _save(self, trainer: L.Trainer) -> None:
        before = time.monotonic()
        trainer.save_checkpoint(self.path)
        self._saved = time.monotonic()
        self.save_seconds += self._saved - before

    def _stop(self, trainer: L.Trainer) -> NoReturn:
        self._signals.ignore()
        name = self._signals.name or "a signal to another process"
        raise StoppedError(
            f"stopped by {name} in epoch {trainer.current_epoch + 1}; {self.path} is up to date: resume with --resume"
        )


class ProgressBar(Callback):
    """Progress bar of the whole run on stderr; silent if stderr is not a terminal."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._marks: deque[tuple[float, float]] = deque(maxlen=60)  # recent (wall time, seconds of audio)
        self._wer = ""
        self._started = False

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.is_global_zero and not self._started:
            epochs = trainer.max_epochs or 0
            log.info(
                "the run has finished its %d epochs; to train on: --set train.epochs=%d", epochs, 2 * epochs
            )

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        from tqdm import tqdm

        self._started = True
        if not (trainer.is_global_zero and sys.stderr.isatty()):
            return
        form = "{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
        self._bar = tqdm(
            total=1.0, initial=_done(pl_module), bar_format=form, leave=False, dynamic_ncols=True
        )

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        assert isinstance(pl_module, SpeechLightningModule)
        if self._bar is None:
            return
        now = time.perf_counter()
        if self._marks and now - self._marks[-1][0] < 0.5:
            return
        self._marks.append((now, pl_module.seconds * trainer.world_size))
        (then, before), (now, seconds) = self._marks[0], self._marks[-1]
        speed = f" {(seconds - before) / (now - then):.0f} audio-s/s" if now > then else ""
        loss = float(pl_module.losses[0]) / max(pl_module.steps, 1)
        self._bar.set_description(
            f"epoch {trainer.current_epoch + 1}/{pl_module.recipe.train.epochs}", refresh=False
        )
        self._bar.set_postfix_str(f"loss {loss:.3f}{self._wer}{speed}", refresh=False)
        self._bar.update(_done(pl_module) - self._bar.n)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, SpeechLightningModule)
        self._marks.clear()
        if self._bar is not None:
            if pl_module.validation is not None:
                self._wer = f", WER {100 * pl_module.validation.wer:.1f} %"
            self._bar.clear()  # the log's lines come next

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _done(module: L.LightningModule) -> float:
    assert isinstance(module, SpeechLightningModule)
    return module.progress()
