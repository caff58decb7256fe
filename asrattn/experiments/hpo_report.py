"""Report of a hyper-parameter sweep: one line per trial, a table, a plot, the best recipe."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from asrattn.config import override
from asrattn.experiments import hpo, search_space
from asrattn.experiments.hpo import Sweep
from asrattn.experiments.recipe_writer import format_recipe
from asrattn.report.plots import TrialCurve, plot_trials

if TYPE_CHECKING:
    import optuna

BEST_RECIPE_FILE, TRIALS_TABLE_FILE, TRIALS_PLOT_FILE = "best.py", "trials.tsv", "trials.png"


def format_trial(sweep: Sweep, trial: "optuna.trial.FrozenTrial") -> str:
    """A trial in one line."""
    wer = f"dev WER {100 * hpo.best_wer(trial):.1f} %" if math.isfinite(hpo.best_wer(trial)) else "no WER"
    state = {
        "COMPLETE": "",
        "PRUNED": f"   pruned after {trial_epochs(trial)} epochs",
        "FAIL": "   failed: ",
    }
    end = state[trial.state.name] + str(trial.user_attrs.get("failed", ""))
    return f"trial {trial.number}   {wer}   {' '.join(trial_settings(sweep, trial))}{end}"


def trial_epochs(trial: "optuna.trial.FrozenTrial") -> int:
    return int(trial.user_attrs.get("epochs", 0))


def trial_settings(sweep: Sweep, trial: "optuna.trial.FrozenTrial") -> list[str]:
    """The settings of a trial, in the syntax of --set."""
    return [
        search_space.format_setting(a, trial.params[a.name]) for a in sweep.axes if a.name in trial.params
    ]


def write_report(sweep: Sweep, finished: Sequence["optuna.trial.FrozenTrial"]) -> None:
    """Write best.py, a recipe, and trials.tsv and trials.png into `sweep.out`; finished: the best trial first."""
    best = finished[0]
    title = f"Found by asrattn sweep: the best of {len(finished)} trials, dev WER {100 * hpo.best_wer(best):.1f} %."
    recipe = override(sweep.recipe, trial_settings(sweep, best))
    (sweep.out / BEST_RECIPE_FILE).write_text(format_recipe(recipe, title), encoding="utf-8")
    names = [axis.name for axis in sweep.axes]
    rows = [["trial", "state", "dev_wer", "epochs", *names]]
    for t in finished:
        values = [str(t.params.get(name, "")) for name in names]
        rows.append(
            [str(t.number), t.state.name.lower(), f"{hpo.best_wer(t):.4f}", str(trial_epochs(t)), *values]
        )
    (sweep.out / TRIALS_TABLE_FILE).write_text(
        "".join("\t".join(row) + "\n" for row in rows), encoding="utf-8"
    )
    log_scaled = {axis.name: isinstance(axis, search_space.Range) and axis.log for axis in sweep.axes}
    curves = [TrialCurve(t.intermediate_values, t.params, t.state.name == "COMPLETE") for t in finished]
    plot_trials(sweep.out / TRIALS_PLOT_FILE, curves, log_scaled)
