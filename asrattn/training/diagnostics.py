"""Diagnostics of a run: attention that does not converge, what it does instead and the remedies that apply;
overfitting."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from asrattn.attention_metrics import AttentionMetrics
from asrattn.config import to_plain
from asrattn.training.recipe import Recipe
from asrattn.training.schedule import ValidationRecord
from asrattn.training.validation import Validation

FAILED_WER = 0.8  # at this WER and above the model has learnt nothing useful
FAILED_CER = 0.6  # below this CER it recognises letters: attention has converged, words may need more speech
MIN_PROGRESS = 0.15  # no warning before this fraction of the run
MIN_UPDATES = 1000  # nor before so many: CTC and attention stay on a plateau for the first 400 to 700 updates
TREND_PROGRESS = 0.1  # the dev loss is compared with the one so much of the run earlier
MIN_LOSS_DECREASE = 0.05  # relative; a dev loss that fell by so much is still learning
MIN_LOSS_INCREASE = 0.05  # relative; of the dev loss above its lowest
OVERFIT_VALIDATIONS = 3  # without a better WER
LONG_UTTERANCE_SECONDS = 8.0  # mean utterance length from which on alignment is hard to learn
HIGH_LEARNING_RATE = 3e-3  # few models train stably above it, with optimizers of the Adam family


def diagnose(
    validation: Validation,
    recipe: Recipe,
    steps: int,
    progress: float,
    history: Sequence[ValidationRecord],
) -> str | None:
    """One line of warning if attention has not converged; None if the model recognises something, early in the run,
    and while the dev loss still falls. history: all validations so far, this one the last."""
    patience = max(MIN_UPDATES, min(recipe.train.patience_start, steps / max(progress, MIN_PROGRESS) / 2))
    converged = validation.wer < FAILED_WER or validation.cer < FAILED_CER
    if converged or progress < MIN_PROGRESS or steps < patience or is_improving(history):
        return None
    ctc_failed = recipe.loss.ctc > 0 and validation.ctc_wer >= FAILED_WER
    symptom = describe_attention(validation.attention_metrics)
    wer = f"{100 * validation.wer:.0f} %"
    warning = f"attention has not converged after {steps} updates (dev WER {wer}): {symptom}"
    if ctc_failed:
        warning += "; CTC has not learnt anything either"
    return f"{warning}. Try " + "; or ".join(suggest_remedies(validation, recipe, ctc_failed))


def diagnose_overfitting(history: Sequence[ValidationRecord]) -> str | None:
    """One line of warning if the model learns its training set by heart: for OVERFIT_VALIDATIONS no better dev WER, a
    dev loss above its lowest one, a training loss that still fell. None otherwise, and once it was said."""
    best = min(range(len(history)), key=lambda at: (history[at].wer, -at))
    if len(history) - 1 - best != OVERFIT_VALIDATIONS:
        return None
    then, now, lowest = history[best], history[-1], min(each.loss for each in history)
    if not (now.loss > (1 + MIN_LOSS_INCREASE) * lowest and now.train_loss < then.train_loss):
        return None
    return (
        f"overfitting: for {OVERFIT_VALIDATIONS} validations no dev WER below {100 * then.wer:.1f} %, a dev loss of "
        f"{lowest:.3f} at its lowest, {now.loss:.3f} now, while the training loss fell from {then.train_loss:.3f} to "
        f"{now.train_loss:.3f}. The best model is kept; try more recordings, stronger augmentation or dropout, or stop "
        f"early (train.patience={OVERFIT_VALIDATIONS})"
    )


def is_improving(history: Sequence[ValidationRecord]) -> bool:
    """Whether the dev loss falls; True if there is nothing to compare with yet."""
    now = history[-1]
    before = [each for each in history if each.progress <= now.progress - TREND_PROGRESS]
    return not before or now.loss < (1 - MIN_LOSS_DECREASE) * before[-1].loss


def describe_attention(metrics: AttentionMetrics) -> str:
    """The symptom in words, with the metric that shows it."""
    if metrics.focus < 0.1:
        return f"it is uniform over the frames (focus {metrics.focus:.2f})"
    if metrics.monotonicity < 0.6:
        return f"it is not monotonic (monotonicity {metrics.monotonicity:.2f})"
    if metrics.diagonality < 0.6:
        return f"it does not follow the diagonal (diagonality {metrics.diagonality:.2f})"
    return f"it follows the utterance, but the words are wrong (diagonality {metrics.diagonality:.2f})"


def suggest_remedies(validation: Validation, recipe: Recipe, ctc_failed: bool) -> Iterator[str]:
    """Settings to try, the likeliest first."""
    rate = recipe.train.optimizer.learning_rate
    plain: Any = to_plain(recipe)
    if recipe.train.optimizer.kind != "sgd" and rate > HIGH_LEARNING_RATE:
        yield f"a lower learning rate (train.optimizer.learning_rate={rate / 10:.1g})"
    if recipe.loss.ctc == 0:
        yield "joint CTC training, which learns the alignment by itself (loss.ctc=0.3)"
    if ctc_failed:
        yield "to check that the transcripts match their audio"
        warmup = _setting(plain, "train", "schedule", "warmup")
        if warmup is not None and warmup < 0.2:
            yield "a longer warm-up (train.schedule.warmup=0.2)"
    mean = sum(s.seconds for s in validation.scored) / max(len(validation.scored), 1)
    if mean > LONG_UTTERANCE_SECONDS and recipe.data.sortagrad_epochs == 0:
        yield "short utterances first (data.sortagrad_epochs=5)"
    if recipe.loss.guided == 0:
        yield "guided attention (loss.guided=1)"
    factor = _setting(plain, "model", "encoder", "factor")
    if factor is not None and factor > 4:
        yield "a smaller time reduction (model.encoder.factor=4)"


def _setting(plain: Mapping[str, Any], *path: str) -> Any:
    for name in path:
        plain = plain.get(name, {})
    return plain if plain != {} else None
