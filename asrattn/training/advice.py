"""What to say when attention does not begin: in plain words, and with the remedies that apply to the run."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from asrattn.config import to_plain
from asrattn.doctor import Looks
from asrattn.training.recipe import Recipe
from asrattn.training.schedule import Judged
from asrattn.training.validation import Validation

DEAF = 0.8  # WER from which on nothing was learnt that anybody could use
LETTERS = 0.6  # CER below which it hears letters: attention has begun, though words may take more speech than there is
SOON = 0.15  # share of the run before which nothing is said
PLATEAU = (
    1000  # updates before which nothing is said: CTC and attention sit on a plateau for the first 400 to 700
)
SPAN, FALL = (
    0.1,
    0.05,
)  # where the dev loss fell by 5 % over the last tenth of the run or more, it learns: slowly
LONG = 8.0  # mean seconds of an utterance, from which on it is hard to find the way along it
FAST = 3e-3  # learning rate of the Adam family that few models bear


def advise(
    found: Validation, recipe: Recipe, steps: int, progress: float, history: Sequence[Judged]
) -> str | None:
    """A warning in one line, or nothing: where something is recognised, early in the run, and while the loss on dev
    still falls, all is well. history: all validations so far, this one the last."""
    patience = max(PLATEAU, min(recipe.train.patience_start, steps / max(progress, SOON) / 2))
    hears = found.wer < DEAF or found.cer < LETTERS
    if hears or progress < SOON or steps < patience or learns(history):
        return None
    deaf = recipe.loss.ctc > 0 and found.ctc_wer >= DEAF
    state = f"attention has not begun after {steps} updates (dev WER {100 * found.wer:.0f} %): {seen(found.looks)}"
    if deaf:
        state += "; CTC hears nothing either"
    return f"{state}. Try " + "; or ".join(remedies(found, recipe, deaf))


def learns(history: Sequence[Judged]) -> bool:
    """Whether the loss falls; also where that cannot be told yet."""
    now = history[-1]
    before = [each for each in history if each.progress <= now.progress - SPAN]
    return not before or now.loss < (1 - FALL) * before[-1].loss


def seen(looks: Looks) -> str:
    """What it does instead."""
    if looks.focus < 0.1:
        return f"it looks at all frames alike (focus {looks.focus:.2f})"
    if looks.monotonicity < 0.6:
        return f"it jumps back and forth (monotonicity {looks.monotonicity:.2f})"
    if looks.diagonality < 0.6:
        return f"it stays in one place, or runs ahead (diagonality {looks.diagonality:.2f})"
    return f"it goes along the utterance, but the words are wrong (diagonality {looks.diagonality:.2f})"


def remedies(found: Validation, recipe: Recipe, deaf: bool) -> Iterator[str]:
    """The likeliest first."""
    rate = recipe.train.optimizer.learning_rate
    plain: Any = to_plain(recipe)
    if recipe.train.optimizer.kind != "sgd" and rate > FAST:
        yield f"a lower learning rate (train.optimizer.learning_rate={rate / 10:.1g})"
    if recipe.loss.ctc == 0:
        yield "a share of CTC, which finds the alignment by itself (loss.ctc=0.3)"
    if deaf:
        yield "to listen whether the texts belong to their audio"
        warmup = _setting(plain, "train", "schedule", "warmup")
        if warmup is not None and warmup < 0.2:
            yield "a longer warm-up (train.schedule.warmup=0.2)"
    mean = sum(s.seconds for s in found.scored) / max(len(found.scored), 1)
    if mean > LONG and recipe.data.short_first == 0:
        yield "short utterances first (data.short_first=5)"
    if recipe.loss.guided == 0:
        yield "guided attention (loss.guided=1)"
    factor = _setting(plain, "model", "encoder", "factor")
    if factor is not None and factor > 4:
        yield "a smaller time reduction (model.encoder.factor=4)"


def _setting(plain: Mapping[str, Any], *path: str) -> Any:
    for name in path:
        plain = plain.get(name, {})
    return plain if plain != {} else None
