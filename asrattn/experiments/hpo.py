"""Hyper-parameter optimisation (sweep) with Optuna: TPE trials of a recipe in parallel processes, pruned, resumable.

The trials are kept in a journal (Optuna's) that any number of processes may write to.
"""

import json
import logging
import math
import os
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import lightning as L
from lightning.pytorch.callbacks import Callback
from tqdm import tqdm

from asrattn import files
from asrattn.config import JSONValue, override, to_plain
from asrattn.errors import AsrattnError, ConfigError, DataError, StoppedError
from asrattn.experiments import search_space
from asrattn.experiments.search_space import Axis, Budget, Range
from asrattn.experiments.variants import is_same_experiment
from asrattn.experiments.workers import StopWhenOrphaned, file_lock, run_workers, try_lock_folder
from asrattn.training import checkpointing
from asrattn.training.fit import fit
from asrattn.training.module import SpeechLightningModule
from asrattn.training.recipe import Recipe
from asrattn.training.run_folder import LAST_CHECKPOINT

if TYPE_CHECKING:
    import optuna

log = logging.getLogger(__name__)

JOURNAL_FILE = "trials.journal"
STARTUP_TRIALS = 4  # trials that are never pruned: the others are compared with them
WARMUP_SHARE = (
    1 / 3
)  # fraction of the epochs before which none is pruned: the CTC loss stays on a plateau at first


@dataclass(frozen=True)
class Sweep:
    """A sweep: the recipe, the search space over its settings, where it is written, its budget.

    init: the model file that every trial begins from.
    """

    recipe: Recipe
    axes: tuple[Axis, ...]
    data: Path
    out: Path
    budget: Budget
    seed: int = 0
    accelerator: str = "auto"
    init: Path | None = None


def run_sweep(
    sweep: Sweep, jobs: int, threads: int | None, on_trial: Callable[["optuna.trial.FrozenTrial"], None]
) -> list["optuna.trial.FrozenTrial"]:
    """Run the trials in `jobs` processes, see `run_workers`; the finished trials, the best first.

    In `sweep.out` there are afterwards a folder for each trial, as `fit` leaves it, without its resume checkpoints; and
    the log of each process. on_trial is called with each trial that finishes.

    Raises StoppedError on Ctrl-C: the same call resumes, also the unfinished trials. DataError if a process failed, or
    no trial was completed. ConfigError as `open_study`.
    """
    study = open_study(sweep)
    deadline = None if sweep.budget.seconds is None else time.time() + sweep.budget.seconds
    reported = {t.number for t in finished_trials(study)}
    total = sweep.budget.trials
    with tqdm(total=total, initial=len(reported), unit=" trials", disable=None, leave=False) as bar:

        def report_new_trials() -> None:
            for trial in sorted(finished_trials(study), key=lambda t: t.number):
                if trial.number not in reported:
                    reported.add(trial.number)
                    bar.clear()
                    on_trial(trial)
                    bar.update()

        run_workers(partial(run_trials, sweep, deadline), jobs, threads, sweep.out, report_new_trials)
    finished = finished_trials(study)
    if not finished or finished[0].state.name != "COMPLETE":
        reason = next((f" ({t.user_attrs['failed']})" for t in finished if "failed" in t.user_attrs), "")
        raise DataError(f"{sweep.out}: no trial was completed{reason}; raise --budget, or see worker-0.log")
    return finished


def finished_trials(study: "optuna.Study") -> list["optuna.trial.FrozenTrial"]:
    """The completed, pruned and failed trials; the one with the lowest WER first.

    A trial that was left unfinished and requeued as another one has no reason of failure, and does not count.
    """
    finished = [t for t in study.trials if t.state.name in ("COMPLETE", "PRUNED") or "failed" in t.user_attrs]
    return sorted(finished, key=lambda t: (t.state.name != "COMPLETE", best_wer(t)))


def best_wer(trial: "optuna.trial.FrozenTrial") -> float:
    """The lowest WER of its validations, a fraction; infinite without one."""
    return min(trial.intermediate_values.values(), default=math.inf)


def open_study(sweep: Sweep, worker: int = 0) -> "optuna.Study":
    """The Optuna study of a sweep, a new one or the one in its folder.

    Raises ConfigError if Optuna is not installed, or the folder holds the sweep of another recipe or space.
    """
    try:
        import optuna
        from optuna.storages.journal import JournalFileBackend
    except ImportError:
        raise ConfigError("asrattn sweep needs Optuna: pip install 'asrattn[sweep]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    files.make_folder(sweep.out)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        storage = optuna.storages.JournalStorage(JournalFileBackend(str(sweep.out / JOURNAL_FILE)))
        # All settings are drawn together, and away from the running trials (TPE, Bergstra et al. 2011).
        sampler = optuna.samplers.TPESampler(multivariate=True, constant_liar=True, seed=sweep.seed + worker)
    # Optuna pruner: ends trials whose best WER so far is worse than the median of the others at the same epoch.
    pruner = optuna.pruners.MedianPruner(STARTUP_TRIALS, round(WARMUP_SHARE * sweep.recipe.train.epochs))
    study = optuna.create_study(
        storage=storage, sampler=sampler, pruner=pruner, study_name="asrattn", load_if_exists=True
    )
    space: list[JSONValue] = [to_plain(axis) for axis in sweep.axes]
    plain: dict[str, JSONValue] = {"recipe": to_plain(sweep.recipe), "space": space}
    if sweep.init:
        plain["init"] = str(sweep.init)
    if "what" in study.user_attrs and not is_same_experiment(study.user_attrs["what"], plain):
        raise ConfigError(
            f"{sweep.out}: holds the sweep of another recipe or --space; name another folder for this one"
        )
    study.set_user_attr("what", json.dumps(plain))
    return study


def run_trials(sweep: Sweep, deadline: float | None = None, worker: int = 0) -> None:
    """Run one trial after the other until the budget is used up. Raises StoppedError on a stop signal."""
    study = open_study(sweep, worker)
    while deadline is None or time.time() < deadline:
        with file_lock(sweep.out / "search.lock"):
            _requeue_abandoned(sweep, study)
            if sweep.budget.trials is not None and _count_started(study) >= sweep.budget.trials:
                return
            trial = study.ask()
            folder = sweep.out / str(trial.user_attrs.get("folder", f"trial-{trial.number:03}"))
            lock = try_lock_folder(folder)
        assert lock is not None
        try:
            _run(sweep, study, trial, folder, deadline)
        finally:
            os.close(lock)


def _run(
    sweep: Sweep, study: "optuna.Study", trial: "optuna.Trial", folder: Path, deadline: float | None
) -> None:
    import optuna

    settings = [search_space.format_setting(axis, _suggest(axis, trial)) for axis in sweep.axes]
    pruning = OptunaPruningCallback(trial, deadline)
    log.info("trial %d: %s", trial.number, " ".join(settings))
    try:
        fit(
            override(sweep.recipe, settings),
            sweep.data,
            folder,
            resume=(folder / LAST_CHECKPOINT).is_file(),
            seed=sweep.seed,
            accelerator=sweep.accelerator,
            init=sweep.init,
            callbacks=(pruning, StopWhenOrphaned()),
        )
    except optuna.TrialPruned:
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    except StoppedError:
        raise  # the trial is resumed with the sweep
    except AsrattnError as error:
        trial.set_user_attr("failed", str(error))
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
    else:
        study.tell(trial, pruning.best_wer)
    checkpointing.delete_checkpoints(folder)


class OptunaPruningCallback(Callback):
    """Optuna pruner callback: reports each validation, ends a trial that is pruned, and the run at its deadline."""

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
            raise StoppedError(f"stopped after epoch {epochs}; resumed with the sweep")


def _suggest(axis: Axis, trial: "optuna.Trial") -> float | str:
    if not isinstance(axis, Range):
        chosen: str = trial.suggest_categorical(axis.name, axis.values)
        return chosen
    if axis.whole:
        return trial.suggest_int(axis.name, int(axis.low), int(axis.high), log=axis.log)
    return trial.suggest_float(axis.name, axis.low, axis.high, log=axis.log)


def _count_started(study: "optuna.Study") -> int:
    """The number of finished and running trials."""
    return len(finished_trials(study)) + sum(t.state.name == "RUNNING" for t in study.trials)


def _requeue_abandoned(sweep: Sweep, study: "optuna.Study") -> None:
    """Enqueue the trials that a dead process left unfinished: they resume in their folders with the same settings."""
    import optuna

    for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
        name = str(trial.user_attrs.get("folder", f"trial-{trial.number:03}"))
        lock = try_lock_folder(sweep.out / name)
        if lock is None:
            continue  # a live process runs it
        os.close(lock)
        study.enqueue_trial(trial.params, user_attrs={**trial.user_attrs, "folder": name})
        study.tell(
            trial.number, state=optuna.trial.TrialState.FAIL
        )  # without a reason, see `finished_trials`
