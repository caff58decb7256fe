"""Hyper-parameter search: trials of a recipe in parallel processes, the hopeless ones ended early; resumable.

What was tried is kept in a journal (Optuna's) that any number of processes may write to.
"""

import json
import logging
import math
import os
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import lightning as L
from lightning.pytorch.callbacks import Callback

from asrattn import files
from asrattn.config import override, to_plain, upgrade
from asrattn.errors import AsrattnError, ConfigError, StoppedError
from asrattn.experiments import search_space
from asrattn.experiments.search_space import Axis, Budget, Range
from asrattn.experiments.workers import StopWhenOrphaned, file_lock, try_lock_folder
from asrattn.training import checkpointing
from asrattn.training.fit import fit
from asrattn.training.module import SpeechLightningModule
from asrattn.training.recipe import Recipe
from asrattn.training.run_folder import LAST_CHECKPOINT

if TYPE_CHECKING:
    import optuna

log = logging.getLogger(__name__)

JOURNAL_FILE = "trials.journal"
STARTUP_TRIALS = 4  # trials that are never ended early: with what they reached the others are compared
WARMUP_SHARE = 1 / 3  # share of the epochs before which none is: the CTC loss sits on a plateau at first


@dataclass(frozen=True)
class Sweep:
    """A search: the recipe, what of it may change, where it is written, how much it may cost."""

    recipe: Recipe
    axes: tuple[Axis, ...]
    data: Path
    out: Path
    budget: Budget
    seed: int = 0
    accelerator: str = "auto"


def finished_trials(found: "optuna.Study") -> list["optuna.trial.FrozenTrial"]:
    """Trials that came to an end: whole, ended early, or failed; the one with the lowest WER first.

    One that was left unfinished, and went on as another, has no reason noted, and is none of them.
    """
    ended = [t for t in found.trials if t.state.name in ("COMPLETE", "PRUNED") or "failed" in t.user_attrs]
    return sorted(ended, key=lambda t: (t.state.name != "COMPLETE", best_wer(t)))


def best_wer(trial: "optuna.trial.FrozenTrial") -> float:
    """The lowest WER of its validations, a share; infinite where there was none."""
    return min(trial.intermediate_values.values(), default=math.inf)


def open_study(sweep: Sweep, worker: int = 0) -> "optuna.Study":
    """The journal of a search, begun or gone on with.

    Raises ConfigError where Optuna is not installed, or the folder holds the sweep of another recipe or space.
    """
    try:
        import optuna
        from optuna.storages.journal import JournalFileBackend
    except ImportError:
        raise ConfigError("asrattn search needs Optuna: pip install 'asrattn[search]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    files.make_folder(sweep.out)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        storage = optuna.storages.JournalStorage(JournalFileBackend(str(sweep.out / JOURNAL_FILE)))
        # All settings are drawn together, and away from what runs at the moment (Bergstra et al. 2011).
        sampler = optuna.samplers.TPESampler(multivariate=True, constant_liar=True, seed=sweep.seed + worker)
    # Ended early: whose best so far is worse than the median of the others at the same epoch.
    pruner = optuna.pruners.MedianPruner(STARTUP_TRIALS, round(WARMUP_SHARE * sweep.recipe.train.epochs))
    found = optuna.create_study(
        storage=storage, sampler=sampler, pruner=pruner, study_name="asrattn", load_if_exists=True
    )
    plain = {"recipe": to_plain(sweep.recipe), "space": [to_plain(axis) for axis in sweep.axes]}
    stored = json.loads(found.user_attrs.get("what", json.dumps(plain)))
    if stored | {"recipe": upgrade(Recipe, stored["recipe"])} != plain:
        raise ConfigError(
            f"{sweep.out}: holds the sweep of another recipe or --space; name another folder for this one"
        )
    found.set_user_attr("what", json.dumps(plain))
    return found


def run_trials(sweep: Sweep, deadline: float | None = None, worker: int = 0) -> None:
    """Trial after trial, until the budget is used up. Raises StoppedError when it is told to stop."""
    found = open_study(sweep, worker)
    while deadline is None or time.time() < deadline:
        with file_lock(sweep.out / "search.lock"):
            _requeue_abandoned(sweep, found)
            if sweep.budget.trials is not None and _count_started(found) >= sweep.budget.trials:
                return
            trial = found.ask()
            folder = sweep.out / str(trial.user_attrs.get("folder", f"trial-{trial.number:03}"))
            held = try_lock_folder(folder)
        assert held is not None
        try:
            _run(sweep, found, trial, folder, deadline)
        finally:
            os.close(held)


def _run(
    sweep: Sweep, found: "optuna.Study", trial: "optuna.Trial", folder: Path, deadline: float | None
) -> None:
    import optuna

    settings = [search_space.format_setting(axis, _suggest(axis, trial)) for axis in sweep.axes]
    watch = OptunaPruningCallback(trial, deadline)
    log.info("trial %d: %s", trial.number, " ".join(settings))
    try:
        fit(
            override(sweep.recipe, settings),
            sweep.data,
            folder,
            resume=(folder / LAST_CHECKPOINT).is_file(),
            seed=sweep.seed,
            accelerator=sweep.accelerator,
            callbacks=(watch, StopWhenOrphaned()),
        )
    except optuna.TrialPruned:
        found.tell(trial, state=optuna.trial.TrialState.PRUNED)
    except StoppedError:
        raise  # the trial goes on when the search does
    except AsrattnError as error:
        trial.set_user_attr("failed", str(error))
        found.tell(trial, state=optuna.trial.TrialState.FAIL)
    else:
        found.tell(trial, watch.best_wer)
    checkpointing.delete_checkpoints(folder)


class OptunaPruningCallback(Callback):
    """Reports each validation to the search, which may end the trial; ends the run when its time is over."""

    def __init__(self, trial: "optuna.Trial", deadline: float | None) -> None:
        self.trial = trial
        self.deadline = deadline
        self.best_wer = math.inf

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        import optuna

        assert isinstance(pl_module, SpeechLightningModule)
        epochs = trainer.current_epoch + 1
        if pl_module.validation is not None:
            self.best_wer = min(self.best_wer, pl_module.validation.wer)
            self.trial.report(pl_module.validation.wer, epochs)
            self.trial.set_user_attr("epochs", epochs)
            if epochs < trainer.max_epochs and self.trial.should_prune():  # type: ignore[operator]
                raise optuna.TrialPruned
        if self.deadline is not None and time.time() > self.deadline:
            raise StoppedError(f"stopped after epoch {epochs}; it goes on with the search")


def _suggest(axis: Axis, trial: "optuna.Trial") -> float | str:
    if not isinstance(axis, Range):
        chosen: str = trial.suggest_categorical(axis.name, axis.values)
        return chosen
    if axis.whole:
        return trial.suggest_int(axis.name, int(axis.low), int(axis.high), log=axis.log)
    return trial.suggest_float(axis.name, axis.low, axis.high, log=axis.log)


def _count_started(found: "optuna.Study") -> int:
    """Trials that are done or under way."""
    return len(finished_trials(found)) + sum(t.state.name == "RUNNING" for t in found.trials)


def _requeue_abandoned(sweep: Sweep, found: "optuna.Study") -> None:
    """What a process left unfinished is put in line again, to go on in its folder with the same settings."""
    import optuna

    for trial in found.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
        name = str(trial.user_attrs.get("folder", f"trial-{trial.number:03}"))
        held = try_lock_folder(sweep.out / name)
        if held is None:
            continue  # by a process that lives
        os.close(held)
        found.enqueue_trial(trial.params, user_attrs={**trial.user_attrs, "folder": name})
        found.tell(trial.number, state=optuna.trial.TrialState.FAIL)  # without a reason, see `done`
