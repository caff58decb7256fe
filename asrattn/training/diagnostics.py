"""What to say when attention does not begin: in plain words, and with the remedies that apply to the run."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from asrattn.attention_metrics import AttentionMetrics
from asrattn.config import to_plain
from asrattn.training.recipe import Recipe
from asrattn.training.schedule import ValidationRecord
from asrattn.training.validation import Validation

FAILED_WER = 0.8  # WER from which on nothing was learnt that anybody could use
FAILED_CER = 0.6  # CER below which attention has converged, though words may take more speech than there is
MIN_PROGRESS = 0.15  # share of the run before which nothing is said
MIN_UPDATES = (
    1000  # updates before which nothing is said: CTC and attention sit on a plateau for the first 400 to 700
)
TREND_PROGRESS, MIN_LOSS_DECREASE = (
    0.1,
    0.05,
)  # where the dev loss fell by 5 % over the last tenth of the run or more, it learns: slowly
LONG_UTTERANCE_SECONDS = (
    8.0  # mean seconds of an utterance, from which on it is hard to find the way along it
)
HIGH_LEARNING_RATE = 3e-3  # learning rate of the Adam family that few models bear


def diagnose(
    found: Validation, recipe: Recipe, steps: int, progress: float, history: Sequence[ValidationRecord]
) -> str | None:
    """A warning in one line, or nothing: where something is recognised, early in the run, and while the loss on dev
    still falls, all is well. history: all validations so far, this one the last."""
    patience = max(MIN_UPDATES, min(recipe.train.patience_start, steps / max(progress, MIN_PROGRESS) / 2))
    hears = found.wer < FAILED_WER or found.cer < FAILED_CER
    if hears or progress < MIN_PROGRESS or steps < patience or is_improving(history):
        return None
    deaf = recipe.loss.ctc > 0 and found.ctc_wer >= FAILED_WER
    attention = describe_attention(found.attention_metrics)
    state = (
        f"attention has not converged after {steps} updates (dev WER {100 * found.wer:.0f} %): {attention}"
    )
    if deaf:
        state += "; CTC hears nothing either"
    return f"{state}. Try " + "; or ".join(suggest_remedies(found, recipe, deaf))


def is_improving(history: Sequence[ValidationRecord]) -> bool:
    """Whether the loss falls; also where that cannot be told yet."""
    now = history[-1]
    before = [each for each in history if each.progress <= now.progress - TREND_PROGRESS]
    return not before or now.loss < (1 - MIN_LOSS_DECREASE) * before[-1].loss


def describe_attention(metrics: AttentionMetrics) -> str:
    """What it does instead."""
    if metrics.focus < 0.1:
        return f"it looks at all frames alike (focus {metrics.focus:.2f})"
    if metrics.monotonicity < 0.6:
        return f"it jumps back and forth (monotonicity {metrics.monotonicity:.2f})"
    if metrics.diagonality < 0.6:
        return f"it stays in one place, or runs ahead (diagonality {metrics.diagonality:.2f})"
    return f"it goes along the utterance, but the words are wrong (diagonality {metrics.diagonality:.2f})"


def suggest_remedies(found: Validation, recipe: Recipe, ctc_failed: bool) -> Iterator[str]:
    """The likeliest first."""
    rate = recipe.train.optimizer.learning_rate
    plain: Any = to_plain(recipe)
    if recipe.train.optimizer.kind != "sgd" and rate > HIGH_LEARNING_RATE:
        yield f"a lower learning rate (train.optimizer.learning_rate={rate / 10:.1g})"
    if recipe.loss.ctc == 0:
        yield "a share of CTC, which finds the alignment by itself (loss.ctc=0.3)"
    if ctc_failed:
        yield "to listen whether the texts belong to their audio"
        warmup = _setting(plain, "train", "schedule", "warmup")
        if warmup is not None and warmup < 0.2:
            yield "a longer warm-up (train.schedule.warmup=0.2)"
    mean = sum(s.seconds for s in found.scored) / max(len(found.scored), 1)
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
