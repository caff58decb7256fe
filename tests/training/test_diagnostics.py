"""Diagnostics: no warning early or while the model learns; else the symptom and the remedies that apply."""

import csv
import logging
from dataclasses import replace
from pathlib import Path

import pytest
import tones

from asrattn import attention_metrics, metrics
from asrattn.attention_metrics import UNDEFINED_METRICS, AttentionMetrics
from asrattn.config import override
from asrattn.metrics import ErrorCounts
from asrattn.training import diagnostics
from asrattn.training.fit import fit
from asrattn.training.recipe import Recipe
from asrattn.training.schedule import ValidationRecord
from asrattn.training.validation import DevUtteranceResult, Validation

EVEN = AttentionMetrics(
    focus=0.02, monotonicity=1.0, diagonality=0.45, skipped=0.5, repeated=0.1, agreement=0.05
)
RECIPE = tones.recipe(learning_rate=1e-3, epochs=20)


def validation(
    hypothesis: str, ctc_wrong: int, looks: AttentionMetrics = EVEN, seconds: float = 3.0
) -> Validation:
    """One utterance of ten words."""
    row = metrics.score_utterance("u", "one two three four five six seven eight nine ten", hypothesis)
    return Validation(
        (DevUtteranceResult(row, ErrorCounts(10 - ctc_wrong, ctc_wrong, 0, 0), 2.0, seconds),), looks
    )


def advise(
    found: Validation, recipe: Recipe, steps: int, progress: float, losses: tuple[float, ...] = (2, 2)
) -> str | None:
    """The validations so far lie a fifth of the run apart."""
    history = [
        ValidationRecord(progress - 0.2 * back, loss, 1.0) for back, loss in enumerate(reversed(losses))
    ]
    return diagnostics.diagnose(found, recipe, steps, progress, history[::-1])


FAILED = validation("ten", ctc_wrong=10)


def test_nothing_is_said_early_or_where_something_is_heard() -> None:
    assert advise(FAILED, RECIPE, steps=900, progress=0.9) is None
    assert advise(FAILED, RECIPE, steps=1900, progress=0.2) is None
    assert advise(FAILED, RECIPE, steps=5000, progress=0.1) is None
    assert advise(validation("one two three", ctc_wrong=10), RECIPE, steps=5000, progress=0.5) is None
    letters = validation("won too three for fife sicks seben ate nein tem", ctc_wrong=10)
    assert letters.wer > diagnostics.FAILED_WER
    assert advise(letters, RECIPE, steps=5000, progress=0.5) is None
    assert advise(FAILED, RECIPE, steps=5000, progress=0.5) is not None
    assert advise(FAILED, RECIPE, steps=1100, progress=0.6) is not None  # a short run


def test_nothing_is_said_while_the_loss_falls_or_before_that_can_be_told() -> None:
    assert advise(FAILED, RECIPE, 3000, 0.5, (2.2, 2.0, 1.8)) is None
    assert advise(FAILED, RECIPE, 3000, 0.5, (2.0,)) is None
    assert advise(FAILED, RECIPE, 3000, 0.5, (2.5, 2.0, 1.98)) is not None
    assert advise(FAILED, RECIPE, 3000, 0.5, (1.8, 2.0)) is not None


def test_what_is_seen_comes_first() -> None:
    told = advise(FAILED, RECIPE, 3000, 0.5)
    assert told is not None
    assert told.startswith(
        "attention has not converged after 3000 updates (dev WER 90 %): it is uniform over the frames"
    )
    assert "CTC has not learnt anything either" in told
    for looks, words in (
        (EVEN._replace(focus=0.5, monotonicity=0.4), "is not monotonic"),
        (EVEN._replace(focus=0.5), "does not follow the diagonal"),
        (EVEN._replace(focus=0.5, diagonality=0.9), "the words are wrong"),
    ):
        assert words in (advise(validation("ten", 10, looks), RECIPE, 3000, 0.5) or "")


@pytest.mark.parametrize(
    ("settings", "there", "absent"),
    [
        ([], ["transcripts match their audio", "warm-up", "loss.guided=1"], ["learning_rate", "loss.ctc", "factor"]),
        (["train.optimizer.learning_rate=0.02"], ["train.optimizer.learning_rate=0.002"], []),
        (["loss.ctc=0"], ["loss.ctc=0.3"], ["transcripts match"]),
        (["loss.guided=1"], [], ["loss.guided"]),
        (["model.encoder.factor=8"], ["model.encoder.factor=4"], []),
    ],
)  # fmt: skip
def test_remedies_are_those_that_apply(settings: list[str], there: list[str], absent: list[str]) -> None:
    told = advise(FAILED, override(RECIPE, settings), 3000, 0.5) or ""
    assert all(words in told for words in there), told
    assert not any(words in told for words in absent), told


def test_every_remedy_is_a_setting_of_the_recipe() -> None:
    recipe = override(RECIPE, ["train.optimizer.learning_rate=0.02", "model.encoder.factor=8"])
    told = advise(validation("ten", 10, seconds=12.0), recipe, 3000, 0.5) or ""
    assert "data.sortagrad_epochs=5" in told
    settings = [word.strip("();") for word in told.split() if "=" in word]
    assert len(settings) >= 4
    assert isinstance(override(recipe, settings), Recipe)
    assert "sortagrad_epochs" not in (advise(FAILED, recipe, 3000, 0.5) or "")  # its utterances are short


def test_the_mean_of_what_is_known() -> None:
    assert attention_metrics.mean([]) == UNDEFINED_METRICS
    known = EVEN._replace(focus=0.04)
    assert attention_metrics.mean([EVEN, known]).focus == pytest.approx(0.03)
    unknown = EVEN._replace(agreement=float("nan"))
    assert attention_metrics.mean([EVEN, unknown]).agreement == EVEN.agreement


@pytest.mark.parametrize(
    ("wers", "losses", "train_losses", "told"),
    [
        ([0.3, 0.2, 0.21, 0.22, 0.21], [2.0, 1.0, 1.1, 1.2, 1.3], [3.0, 2.0, 1.5, 1.0, 0.5], True),
        ([0.3, 0.2, 0.21, 0.22], [2.0, 1.0, 1.1, 1.2], [3.0, 2.0, 1.5, 1.0], False),  # two validations
        (
            [0.3, 0.2, 0.21, 0.22, 0.21],
            [2.0, 1.0, 1.1, 1.1, 1.04],
            [3.0, 2.0, 1.5, 1.0, 0.5],
            False,
        ),  # hardly
        (
            [0.3, 0.2, 0.21, 0.22, 0.21],
            [2.0, 1.0, 1.1, 1.2, 1.3],
            [3.0, 2.0, 2.5, 3.0, 2.5],
            False,
        ),  # diverges
        (
            [0.3, 0.2, 0.21, 0.2, 0.21],
            [2.0, 1.0, 1.1, 1.2, 1.3],
            [3.0, 2.0, 1.5, 1.0, 0.5],
            False,
        ),  # as good later
        (
            [0.3, 0.2, 0.3, 0.3, 0.3, 0.3],
            [2, 1, 1.1, 1.2, 1.3, 1.4],
            [3, 2, 1.5, 1, 0.5, 0.4],
            False,
        ),  # said before
    ],
)
def test_overfitting_is_told_once(
    wers: list[float], losses: list[float], train_losses: list[float], told: bool
) -> None:
    history = [
        ValidationRecord(0.1 * at, *each)
        for at, each in enumerate(zip(losses, wers, train_losses, strict=True))
    ]
    found = diagnostics.diagnose_overfitting(history)
    assert (found is not None) == told
    if found:
        assert found.startswith(
            "overfitting: for 3 validations no dev WER below 20.0 %, a dev loss of 1.000 at its low"
        )
        assert "from 2.000 to 0.500" in found


def test_a_run_writes_down_what_attention_does_and_warns(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asrattn.training.diagnostics.MIN_UPDATES", 1)
    recipe = tones.recipe(learning_rate=1e-6, epochs=2)
    recipe = replace(recipe, train=replace(recipe.train, patience_start=1))
    with caplog.at_level(logging.INFO, "asrattn"):
        fit(recipe, tones.write_corpus(tmp_path), tmp_path / "run", accelerator="cpu")
    assert any(m.startswith("attention has not converged after") for m in caplog.messages)
    with (tmp_path / "run" / "metrics.csv").open() as table:
        rows = list(csv.DictReader(table))
    assert all(0 <= float(row["dev_focus"]) <= 1 and 0 <= float(row["dev_diagonality"]) <= 1 for row in rows)
