"""Knowledge distillation: the teacher of a run, the model of --init as it came."""

from pathlib import Path

import torch
from torch import Tensor

from asrattn import checkpoint
from asrattn.config import check
from asrattn.errors import ConfigError
from asrattn.model.losses import TeacherOutput
from asrattn.model.speech_model import SpeechModel
from asrattn.training.data.sampler import Batch
from asrattn.training.encoder_cache import EncoderCache
from asrattn.training.recipe import Recipe


class Teacher:
    """A frozen model and its encoder outputs. It is no torch module, so that it is not saved with the student."""

    def __init__(self, model: SpeechModel, recipe: Recipe) -> None:
        self.model = model.eval().requires_grad_(False)
        self.config = recipe.loss
        self._cache = EncoderCache(recipe.data.keep_encoded)

    def __call__(self, batch: Batch, lens: Tensor) -> TeacherOutput:
        """What it gives for the batch as it was recorded, without augmentation, in the student's frames: lens (B,)."""
        device = batch.wave.device
        self.model.to(device)
        with torch.autocast(device.type, enabled=False):
            encoded = self._cache.encode(self.model, batch)
        return self.model.teach(encoded, lens, batch.tokens, self.config)


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
