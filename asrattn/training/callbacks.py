"""What happens around the steps: checkpoints, logs, the bar, early stop, and a clean end on Ctrl-C."""

import csv
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
from asrattn.model import Losses
from asrattn.training.module import Training
from asrattn.training.storage import LAST
from asrattn.training.validation import Validation

log = logging.getLogger(__name__)

MODEL = "model.safetensors"


class StoppedError(AsrattnError):
    """The run was told to stop; what it had done is on disk."""


@dataclasses.dataclass
class Progress:
    """How far a run has come, over all its starts. Rates are shares."""

    epochs: int = 0
    best: float | None = None
    best_epoch: int = 0
    worse: int = 0  # validations since the best, as the early stop counts them
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    audio_seconds: float = 0.0
    train_seconds: float = 0.0  # wall time of training alone


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


class Journal(Callback):
    """metrics.csv and TensorBoard, a row an epoch; what was heard in some dev utterances, in the log."""

    def __init__(self, out: Path, keeper: Keeper) -> None:
        self.out = out
        self.keeper = keeper
        self._writer: Any = None

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        if trainer.is_global_zero:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(self.out / "tensorboard"))

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, Training)
        if not trainer.is_global_zero:
            return
        row = metrics(pl_module, trainer, self.keeper.progress)
        append(self.out / "metrics.csv", row)
        for name, value in row.items():
            if value is not None and name != "epoch":
                self._writer.add_scalar(name, value, row["epoch"])
        self._writer.flush()
        log.info("%s", line(row, pl_module.recipe.train.epochs))
        if pl_module.validation is not None:
            _show_samples(pl_module.validation, pl_module.recipe.train.samples)

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        if self._writer is not None:
            self._writer.close()


class Bar(Callback):
    """Progress of the whole run on a terminal's stderr; where there is no terminal it stays quiet."""

    def __init__(self, keeper: Keeper) -> None:
        self.keeper = keeper
        self._bar: Any = None
        self._marks: deque[tuple[float, float]] = deque(
            maxlen=60
        )  # wall time, audio seconds, of the last steps
        self._wer = ""

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        from tqdm import tqdm

        if not (trainer.is_global_zero and sys.stderr.isatty()):
            return
        form = "{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
        self._bar = tqdm(
            total=1.0, initial=_done(pl_module), bar_format=form, mininterval=0.5, dynamic_ncols=True
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
            launcher = trainer.strategy.launcher
            if launcher is not None:
                launcher.kill(signal.Signals(number))
            raise StoppedError(
                f"stopped by {signal.Signals(number).name} in epoch {trainer.current_epoch + 1}; "
                f"{self.out / LAST} holds the {self._epochs(trainer)} before it: resume with --resume"
            )

        self._before = {s: signal.signal(s, stop) for s in (signal.SIGINT, signal.SIGTERM)}

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _epochs(self, trainer: L.Trainer) -> str:
        return "one" if trainer.current_epoch == 1 else f"{trainer.current_epoch}"


def metrics(module: Training, trainer: L.Trainer, progress: Progress) -> dict[str, float | int | None]:
    """The row of an epoch; rates as shares, None where nothing was validated."""
    means = (module.losses / max(module.batches, 1)).tolist()
    found = module.validation
    return {
        "epoch": progress.epochs,
        "step": trainer.global_step,
        "learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
        **{f"train_{name}": mean for name, mean in zip(Losses._fields, means, strict=True)},
        "dev_loss": found.loss if found else None,
        "dev_wer": found.wer if found else None,
        "dev_cer": found.cer if found else None,
        "dev_ctc_wer": found.ctc_wer if found else None,
        "audio_seconds_per_second": progress.audio_seconds / max(progress.train_seconds, 1e-9),
        "wall_seconds": progress.wall_seconds,
        "cpu_seconds": progress.cpu_seconds,
    }


def append(path: Path, row: dict[str, float | int | None]) -> None:
    """A row at the end of a table, which gets its heading with the first."""
    new = not path.is_file() or not path.stat().st_size
    with path.open("a", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        if new:
            writer.writerow(row)
        writer.writerow("" if v is None else v for v in row.values())


def line(row: dict[str, Any], epochs: int) -> str:
    """An epoch in one line."""
    losses = (
        f"loss {row['train_total']:.3f} (attention {row['train_attention']:.3f}, CTC {row['train_ctc']:.3f})"
    )
    parts = [f"epoch {row['epoch']}/{epochs}", f"step {row['step']}", losses]
    if row["dev_wer"] is not None:
        rates = (100 * row[name] for name in ("dev_wer", "dev_cer", "dev_ctc_wer"))
        parts.append("dev WER {:.1f} % CER {:.1f} % (CTC greedy {:.1f} %)".format(*rates))
        parts.append(f"dev loss {row['dev_loss']:.3f}")
    left = row["wall_seconds"] / row["epoch"] * (epochs - row["epoch"])
    parts += [f"{row['audio_seconds_per_second']:.0f} audio-s/s", f"{_clock(left)} left"]
    return "   ".join(parts)


def _show_samples(found: Validation, count: int) -> None:
    """The same few utterances each time, spread over the set."""
    step = max(1, len(found.scored) // max(count, 1))
    for scored in found.scored[::step][:count]:
        log.info("  said  %s\n  heard %s", scored.row.reference, scored.row.hypothesis)


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _done(module: L.LightningModule) -> float:
    assert isinstance(module, Training)
    return module.progress()
