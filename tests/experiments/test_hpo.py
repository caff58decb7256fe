"""Hyper-parameter sweep: search space, trials that are pruned, fail or resume; the best one as a recipe."""

import csv
import dataclasses
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import tones

from asrattn.cli.main import main
from asrattn.config import override
from asrattn.errors import ConfigError, StoppedError
from asrattn.experiments import hpo, hpo_report, search_space
from asrattn.experiments.hpo import Sweep
from asrattn.experiments.recipe_writer import format_recipe
from asrattn.experiments.search_space import Budget, Choice, Range
from asrattn.training.recipe import Recipe

RECIPES = sorted((Path(__file__).resolve().parents[2] / "recipes").glob("*/*.py"))
RECIPE = tones.recipe(epochs=2)
RATE = "train.optimizer.learning_rate"


def test_ranges_and_choices() -> None:
    assert search_space.parse_axis(f"{RATE}=1e-4..1e-2:log", RECIPE) == Range(
        RATE, 1e-4, 1e-2, whole=False, log=True
    )
    assert search_space.parse_axis("loss.ctc=0..1", RECIPE) == Range("loss.ctc", 0, 1, whole=False, log=False)
    dim = search_space.parse_axis("model.encoder.dim=8..16", RECIPE)
    assert dim == Range("model.encoder.dim", 8, 16, whole=True, log=False)
    assert search_space.format_setting(dim, 12.0) == "model.encoder.dim=12"
    kind = search_space.parse_axis("model.decoder.attention.kind=dot, location", RECIPE)
    assert kind == Choice("model.decoder.attention.kind", ("dot", "location"))
    assert (
        search_space.format_setting(search_space.parse_axis("loss.ctc=0..1", RECIPE), 0.123456)
        == "loss.ctc=0.1235"
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("loss.ctc", "write NAME=LOW..HIGH"),
        ("loss.ctc=0.5", "at least two different values"),
        ("loss.ctc=1..0", "LOW must lie below HIGH"),
        ("loss.ctc=0..1:log", "above 0 with :log"),
        ("loss.ctc=0..1:square", "LOW must lie below HIGH"),
        ("loss.ctc=a..b", "are not two numbers"),
        ("loss.ctc=0.5..2", "ctc"),
        ("loss.cct=0..1", "did you mean"),
        ("model.decoder.attention.kind=dot,location,nothing", "nothing"),
    ],
)
def test_a_wrong_space_is_told_before_the_first_trial(text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        search_space.parse_axis(text, RECIPE)


def test_budgets() -> None:
    assert Budget.parse("20") == Budget(trials=20)
    assert Budget.parse("1.5h") == Budget(seconds=5400)
    for text in ("0", "-1", "2.5", "1d", "soon", ""):
        with pytest.raises(ConfigError, match="such as 20, or a time"):
            Budget.parse(text)


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_a_recipe_is_written_as_it_is_read(path: Path, tmp_path: Path) -> None:
    recipe = dataclasses.replace(Recipe.load(path), name='with "quotes" and ä')
    (tmp_path / "same.py").write_text(format_recipe(recipe, "The same."), encoding="utf-8")
    assert Recipe.load(tmp_path / "same.py") == recipe


def search(folder: Path, trials: int = 2, recipe: Recipe = RECIPE) -> Sweep:
    axes = (
        search_space.parse_axis(f"{RATE}=1e-3..1e-2:log", recipe),
        search_space.parse_axis("model.encoder.dim=4,8", recipe),
    )
    corpus = tones.write_corpus(folder / "corpus")
    return Sweep(recipe, axes, corpus, folder / "search", Budget(trials), accelerator="cpu")


def test_trials_run_until_the_budget_is_used_up_and_more_can_follow(tmp_path: Path) -> None:
    first = search(tmp_path, 1)
    hpo.run_trials(first)
    hpo.run_trials(first)
    assert [t.state.name for t in hpo.finished_trials(hpo.open_study(first))] == ["COMPLETE"]
    hpo.run_trials(dataclasses.replace(first, budget=Budget(2)))
    found = hpo.finished_trials(hpo.open_study(first))
    assert len(found) == 2
    assert found[0].value == hpo.best_wer(found[0]) <= hpo.best_wer(found[1])
    left = {p.name for p in (first.out / "trial-000").iterdir()}
    assert "model.safetensors" in left
    assert "last.ckpt" not in left


def test_what_was_stopped_goes_on_in_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    what = search(tmp_path, 1, tones.recipe(epochs=3))
    clock = iter(range(9))
    monkeypatch.setattr(hpo, "time", SimpleNamespace(time=lambda: next(clock)))
    with pytest.raises(StoppedError, match="resumed with the sweep"):
        hpo.run_trials(what, deadline=0.5)  # it is over when the first epoch is
    assert hpo.finished_trials(hpo.open_study(what)) == []
    (drawn,) = [t.params for t in hpo.open_study(what).trials]
    hpo.run_trials(what)
    (ended,) = hpo.finished_trials(hpo.open_study(what))
    assert ended.params == drawn
    assert [p.name for p in what.out.glob("trial-*")] == ["trial-000"]
    with (what.out / "trial-000" / "metrics.csv").open() as table:
        assert [row["epoch"] for row in csv.DictReader(table)] == ["1", "2", "3"]


def test_a_trial_that_cannot_be_is_one_that_failed(tmp_path: Path) -> None:
    what = search(tmp_path, 2)
    axes = (Choice("model.decoder.dim", ("0", "8")), Choice("model.encoder.dim", ("0", "8")))
    what = dataclasses.replace(what, axes=axes, budget=Budget(6))
    hpo.run_trials(what)
    found = hpo.finished_trials(hpo.open_study(what))
    assert len(found) == 6
    failed = [t for t in found if t.state.name == "FAIL"]
    assert failed
    assert all("must be positive" in hpo_report.format_trial(what, t) for t in failed)


def test_another_search_does_not_get_into_the_same_folder(tmp_path: Path) -> None:
    what = search(tmp_path)
    hpo.open_study(what)
    with pytest.raises(ConfigError, match="another recipe or --space"):
        hpo.open_study(dataclasses.replace(what, axes=what.axes[:1]))
    with pytest.raises(ConfigError, match="another recipe or --space"):
        hpo.open_study(dataclasses.replace(what, recipe=override(RECIPE, ["train.clip=1"])))


def test_what_is_left_of_a_search(tmp_path: Path) -> None:
    what = search(tmp_path)
    study = hpo.open_study(what)
    for rate, curve in ((0.002, (0.9, 0.4)), (0.005, (0.8, 0.6)), (0.008, (1.0,))):
        study.enqueue_trial({RATE: rate, "model.encoder.dim": "4"})
        trial = study.ask()
        for axis in what.axes:
            hpo._suggest(axis, trial)
        for epoch, wer in enumerate(curve, 1):
            trial.report(wer, epoch)
            trial.set_user_attr("epochs", epoch)
        state = {"state": trials_state("PRUNED")} if len(curve) == 1 else {"values": min(curve)}
        study.tell(trial, **state)
    ended = hpo.finished_trials(study)
    hpo_report.write_report(what, ended)
    best = Recipe.load(what.out / "best.py")
    assert best == override(RECIPE, [f"{RATE}=0.002", "model.encoder.dim=4"])
    assert "dev WER 40.0 %" in (what.out / "best.py").read_text()
    with (what.out / "trials.tsv").open() as table:
        rows = list(csv.DictReader(table, delimiter="\t"))
    assert [(r["trial"], r["state"], r["dev_wer"], r["epochs"]) for r in rows] == [
        ("0", "complete", "0.4000", "2"),
        ("1", "complete", "0.6000", "2"),
        ("2", "pruned", "1.0000", "1"),
    ]
    assert (what.out / "trials.png").read_bytes().startswith(b"\x89PNG")
    assert hpo_report.format_trial(what, ended[2]).endswith("pruned after 1 epochs")


def trials_state(name: str):  # type: ignore[no-untyped-def]
    import optuna

    return optuna.trial.TrialState[name]


def test_the_worse_half_is_ended_early(tmp_path: Path) -> None:
    """The pruner as it is set: no trial before a third of the epochs, none of the first four."""
    what = search(tmp_path, recipe=tones.recipe(epochs=6))
    study = hpo.open_study(what)
    ends = []
    for wer in (0.1, 0.2, 0.3, 0.9, 0.8, 0.05):
        trial = study.ask()
        ended = math.inf
        for epoch in range(1, 7):
            trial.report(wer, epoch)
            if trial.should_prune():
                ended = min(ended, epoch)
        study.tell(trial, wer)
        ends.append(ended)
    assert ends == [math.inf] * 4 + [2, math.inf]


@pytest.mark.multi
def test_two_processes_and_a_stop_in_the_middle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As it is typed: stopped by a signal, then gone on with to the end."""
    corpus = tones.write_corpus(tmp_path / "corpus")
    (tmp_path / "tones.py").write_text(format_recipe(tones.recipe(epochs=8), "Tones."), encoding="utf-8")
    words = ["sweep", str(tmp_path / "tones.py"), "--data", str(corpus), "--out", str(tmp_path / "search")]
    words += ["--space", f"{RATE}=1e-3..1e-2:log", "--budget", "3", "--jobs", "2", "--threads", "1"]
    words += ["--accelerator", "cpu"]
    started = subprocess.Popen(
        [sys.executable, "-m", "asrattn.cli.main", *words], stderr=subprocess.PIPE, text=True
    )
    limit = time.monotonic() + 120
    while not list(tmp_path.glob("search/trial-*/metrics.csv")) and time.monotonic() < limit:
        time.sleep(0.05)
    os.kill(
        started.pid, signal.SIGTERM
    )  # Ctrl-C may be ignored where the tests themselves run in the background
    _, told = started.communicate(timeout=120)
    assert started.returncode == 130, told
    assert "the same command resumes in" in told
    assert main(words) == 0
    *lines, best = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert all(each.startswith("trial ") and "dev WER" in each for each in lines)
    assert best == str(tmp_path / "search" / "best.py")
    assert len(list(tmp_path.glob("search/trial-*"))) == 3


def test_a_wrong_budget_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "tones.py").write_text(format_recipe(RECIPE, "Tones."), encoding="utf-8")
    words = ["sweep", str(tmp_path / "tones.py"), "--data", str(tmp_path), "--out", str(tmp_path / "search")]
    assert main([*words, "--space", "loss.ctc=0..1", "--budget", "many"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("asrattn: --budget many: write a number of trials")
    assert told.count("\n") == 1
    assert not (tmp_path / "search").exists()
