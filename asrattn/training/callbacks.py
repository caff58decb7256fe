"""What happens around the steps: checkpoints, the bar, early stop, and a clean end on Ctrl-C."""

import dataclasses
import json
import logging
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import lightning as L
from lightning.pytorch.callbacks import Callback

from asrattn import checkpoint
from asrattn.config import Plain
from asrattn.errors import AsrattnError
from asrattn.training.journal import Progress
from asrattn.training.module import Training
from asrattn.training.storage import LAST
from asrattn.training.validation import Validation

log = logging.getLogger(__name__)

MODEL = "model.safetensors"


class StoppedError(AsrattnError):
    """The run was told to stop; what it had done is on disk."""


class Keeper(Callback):
    """After each epoch: the clock, the model file if the model is the best so far, last.ckpt, the early stop.

    card     what is known of the run, for the model file
    """

    def __init__(self, out: Path, card: Callable[[Progress, Validation], dict[str, Plain]]) -> None:
        self.out = out
        self.card = card
        self.progress = Progress()
        self._wall = self._cpu = self._started = 0.0

    def state_dict(self) -> dict[str, Any]:
        return {"progress": json.dumps(dataclasses.asdict(self.progress))}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.progress = Progress(**json.loads(state_dict["progress"]))

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()
        if self.progress.epochs == 0:
            trainer.save_checkpoint(self.out / LAST)  # from here on there is always something to resume

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._started = time.perf_counter()
        assert isinstance(pl_module, Training)
        config = pl_module.recipe.train
        last = trainer.current_epoch + 1 == config.epochs  # it is judged in any case: there must be a model
        trainer.check_val_every_n_epoch = 1 if last else config.validate_every

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.progress.train_seconds += time.perf_counter() - self._started
        self._started = time.perf_counter()

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._started = time.perf_counter()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, Training)
        pl_module.verify()
        self._advance(trainer, pl_module)
        found = pl_module.validation
        if found is not None and self._is_best(found, trainer):
            self._save(pl_module, found, trainer)
        trainer.save_checkpoint(self.out / LAST)
        patience = pl_module.recipe.train.patience
        if patience and self.progress.worse >= patience:
            trainer.should_stop = True
            if trainer.is_global_zero:
                log.info("no better WER in %d validations: stopped early", patience)

    def _advance(self, trainer: L.Trainer, module: Training) -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        progress = self.progress
        progress.epochs = trainer.current_epoch + 1
        progress.train_seconds += wall - self._started
        progress.wall_seconds += wall - self._wall
        progress.cpu_seconds += cpu - self._cpu
        progress.audio_seconds += module.seconds * trainer.world_size
        self._wall, self._cpu = wall, cpu

    def _is_best(self, found: Validation, trainer: L.Trainer) -> bool:
        """Among equals the later one, which has seen more."""
        progress = self.progress
        if progress.best is None or found.wer <= progress.best:
            progress.best, progress.best_epoch, progress.worse = found.wer, progress.epochs, 0
            return True
        assert isinstance(trainer.lightning_module, Training)
        counted = trainer.global_step > trainer.lightning_module.recipe.train.patience_start
        progress.worse += counted
        return False

    def _save(self, module: Training, found: Validation, trainer: L.Trainer) -> None:
        if not trainer.is_global_zero:
            return
        card = self.card(self.progress, found)
        checkpoint.save(self.out / MODEL, module.average, module.tokenizer, card, module.recipe.search)


class Bar(Callback):
    """Progress of the whole run on a terminal's stderr; where there is no terminal it stays quiet."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._marks: deque[tuple[float, float]] = deque(maxlen=60)  # lately: wall time, seconds of audio
        self._wer = ""

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        from tqdm import tqdm

        if not (trainer.is_global_zero and sys.stderr.isatty()):
            return
        form = "{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
        self._bar = tqdm(
            total=1.0, initial=_done(pl_module), bar_format=form, leave=False, dynamic_ncols=True
        )

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        assert isinstance(pl_module, Training)
        if self._bar is None:
            return
        now = time.perf_counter()
        if self._marks and now - self._marks[-1][0] < 0.5:
            return
        self._marks.append((now, pl_module.seconds * trainer.world_size))
        (then, before), (now, seconds) = self._marks[0], self._marks[-1]
        speed = f" {(seconds - before) / (now - then):.0f} audio-s/s" if now > then else ""
        loss = float(pl_module.losses[0]) / max(pl_module.batches, 1)
        self._bar.set_description(
            f"epoch {trainer.current_epoch + 1}/{pl_module.recipe.train.epochs}", refresh=False
        )
        self._bar.set_postfix_str(f"loss {loss:.3f}{self._wer}{speed}", refresh=False)
        self._bar.update(_done(pl_module) - self._bar.n)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, Training)
        self._marks.clear()
        if self._bar is not None:
            if pl_module.validation is not None:
                self._wer = f", WER {100 * pl_module.validation.wer:.1f} %"
            self._bar.clear()  # the log's lines come next

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class Stopper(Callback):
    """Ctrl-C and SIGTERM end the run at once, in one line: last.ckpt holds the last whole epoch."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self._before: dict[signal.Signals, Any] = {}

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if threading.current_thread() is not threading.main_thread():
            return  # Python lets only the main thread handle signals

        def stop(number: int, _: object) -> NoReturn:
            for each in self._before:
                signal.signal(each, signal.SIG_IGN)  # once is enough: the way out is not to be disturbed
            name, done = signal.Signals(number).name, trainer.current_epoch
            if trainer.strategy.launcher is not None:
                trainer.strategy.launcher.kill(signal.SIGTERM)
            whole = f"{done} whole epoch{'' if done == 1 else 's'}"
            raise StoppedError(
                f"stopped by {name} in epoch {done + 1}; {self.out / LAST} holds {whole}: resume with --resume"
            )

        self._before = {s: signal.signal(s, stop) for s in (signal.SIGINT, signal.SIGTERM)}

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}


def _done(module: L.LightningModule) -> float:
    assert isinstance(module, Training)
    return module.progress()
