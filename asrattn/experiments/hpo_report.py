"""A hyper-parameter search from outside, and what is told of it: lines, a table, a picture, the best recipe."""

import logging
import math
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from asrattn.config import override
from asrattn.errors import DataError
from asrattn.experiments import hpo, search_space
from asrattn.experiments.hpo import Sweep
from asrattn.experiments.recipe_writer import format_recipe
from asrattn.experiments.workers import run_workers

if TYPE_CHECKING:
    import optuna

log = logging.getLogger(__name__)

BEST_RECIPE_FILE, TRIALS_TABLE_FILE, TRIALS_PLOT_FILE = "best.py", "trials.tsv", "trials.png"


def run_sweep(sweep: Sweep, jobs: int, threads: int | None) -> list["optuna.trial.FrozenTrial"]:
    """Search with so many processes beside each other, see `crew`; the trials that came to an end, the best first.

    In `what.out` there are afterwards best.py, a recipe; trials.tsv and trials.png; a folder for each trial, as `fit`
    leaves it but for what it would need to be resumed; and the log of each process.

    Raises StoppedError on Ctrl-C: the same call goes on, also with what was under way. DataError where a process
    failed, or no trial came to its end. ConfigError as `trials.study`.
    """
    found = hpo.open_study(sweep)
    deadline = None if sweep.budget.seconds is None else time.time() + sweep.budget.seconds
    told = {t.number for t in hpo.finished_trials(found)}
    with tqdm(total=sweep.budget.trials, initial=len(told), unit=" trials", disable=None, leave=False) as bar:

        def look() -> None:
            for trial in _new_trials(found, told):
                bar.clear()
                log.info("%s", format_trial(sweep, trial))
                bar.update()

        run_workers(partial(hpo.run_trials, sweep, deadline), jobs, threads, sweep.out, look)
    ended = hpo.finished_trials(found)
    if not ended or ended[0].state.name != "COMPLETE":
        reason = next((f" ({t.user_attrs['failed']})" for t in ended if "failed" in t.user_attrs), "")
        raise DataError(
            f"{sweep.out}: no trial came to its end{reason}; raise --budget, or look at worker-0.log"
        )
    _write_results(sweep, ended)
    return ended


def _new_trials(found: "optuna.Study", told: set[int]) -> Iterator["optuna.trial.FrozenTrial"]:
    for trial in sorted(hpo.finished_trials(found), key=lambda t: t.number):
        if trial.number not in told:
            told.add(trial.number)
            yield trial


def format_trial(sweep: Sweep, trial: "optuna.trial.FrozenTrial") -> str:
    """A trial in one line."""
    wer = f"dev WER {100 * hpo.best_wer(trial):.1f} %" if math.isfinite(hpo.best_wer(trial)) else "no WER"
    state = {
        "COMPLETE": "",
        "PRUNED": f"   ended early, after {trial_epochs(trial)} epochs",
        "FAIL": "   failed: ",
    }
    end = state[trial.state.name] + str(trial.user_attrs.get("failed", ""))
    return f"trial {trial.number}   {wer}   {' '.join(trial_settings(sweep, trial))}{end}"


def trial_epochs(trial: "optuna.trial.FrozenTrial") -> int:
    return int(trial.user_attrs.get("epochs", 0))


def trial_settings(sweep: Sweep, trial: "optuna.trial.FrozenTrial") -> list[str]:
    """What was changed, as --set takes it."""
    return [
        search_space.format_setting(a, trial.params[a.name]) for a in sweep.axes if a.name in trial.params
    ]


def _write_results(sweep: Sweep, ended: list["optuna.trial.FrozenTrial"]) -> None:
    first = ended[0]
    changed = trial_settings(sweep, first)
    title = f"Found by asrattn search: the best of {len(ended)} trials, dev WER {100 * hpo.best_wer(first):.1f} %."
    text = format_recipe(override(sweep.recipe, changed), title)
    (sweep.out / BEST_RECIPE_FILE).write_text(text, encoding="utf-8")
    names = [axis.name for axis in sweep.axes]
    rows = [["trial", "state", "dev_wer", "epochs", *names]]
    for t in ended:
        values = [str(t.params.get(name, "")) for name in names]
        rows.append(
            [str(t.number), t.state.name.lower(), f"{hpo.best_wer(t):.4f}", str(trial_epochs(t)), *values]
        )
    (sweep.out / TRIALS_TABLE_FILE).write_text(
        "".join("\t".join(row) + "\n" for row in rows), encoding="utf-8"
    )
    _plot_trials(sweep, ended, sweep.out / TRIALS_PLOT_FILE)


def _plot_trials(sweep: Sweep, ended: list["optuna.trial.FrozenTrial"], path: Path) -> None:
    """WER over the epochs of each trial, and the best of each over every setting."""
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator

    shown = [t for t in ended if t.intermediate_values]
    highest = 110 * max(min(1.0, hpo.best_wer(t)) for t in shown)
    with mpl.rc_context({"axes.spines.top": False, "axes.spines.right": False, "font.size": 9}):
        figure = Figure(figsize=(3.2 * (len(sweep.axes) + 1), 3), layout="constrained")
        curves, *parts = figure.subplots(1, len(sweep.axes) + 1, sharey=True)
        for trial in shown:
            at = sorted(trial.intermediate_values)
            curves.plot(at, [100 * trial.intermediate_values[e] for e in at], **_style(trial, ended[0]))
        curves.set(xlabel="epoch", ylabel="dev WER in %", ylim=(0, highest))
        for axis, part in zip(sweep.axes, parts, strict=True):
            for trial in shown:
                part.plot(
                    trial.params[axis.name],
                    100 * hpo.best_wer(trial),
                    marker="o",
                    ls="",
                    **_style(trial, ended[0]),
                )
            if isinstance(axis, search_space.Range) and axis.log:
                part.set_xscale("log")
                part.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
                part.xaxis.set_major_formatter("{x:g}")
                part.xaxis.set_minor_formatter("")
            part.set_xlabel(axis.name)
        figure.savefig(path, dpi=120)


def _style(trial: "optuna.trial.FrozenTrial", first: "optuna.trial.FrozenTrial") -> dict[str, Any]:
    """The best stands out; what was ended early is pale."""
    if trial.number == first.number:
        return {"color": "#d1495b", "zorder": 3, "lw": 2}
    return {"color": "#00798c", "alpha": 0.9 if trial.state.name == "COMPLETE" else 0.3, "lw": 1}
