"""Knowledge distillation: the teacher of a run, the model of --init as it came."""

from pathlib import Path

from asrattn import checkpoint
from asrattn.config import check
from asrattn.errors import ConfigError
from asrattn.model.speech_model import SpeechModel
from asrattn.training.recipe import Recipe


def load_teacher(recipe: Recipe, init: Path | None) -> SpeechModel | None:
    """The teacher, if the recipe learns from one. Raises ConfigError without --init, and for an augmentation that
    changes time: teacher and student are compared frame by frame."""
    if not recipe.loss.needs_teacher:
        return None
    needs = "loss.distill_encoder and distill_decoder"
    timed = (
        recipe.augment.speed or recipe.augment.stretch or recipe.data.concat_prob or recipe.loss.consistency
    )
    check(
        not timed,
        f"{needs} compare frame by frame: set augment.speed, augment.stretch, data.concat_prob and "
        "loss.consistency to 0",
    )
    if init is None:
        raise ConfigError(f"{needs} need a teacher: name its model with --init")
    return checkpoint.load(init).model
