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

    def __init__(self, model: SpeechModel, recipe: Recipe, kept: EncoderCache | None = None) -> None:
        """kept: the encoder outputs of the student, if they are kept; also those of the teacher if both have the same
        encoder, so that it computes each of them once."""
        self.model = model.eval().requires_grad_(False)
        self.config = recipe.loss
        self._cache = (
            kept if kept and has_same_encoder(model, recipe) else EncoderCache(recipe.data.keep_encoded)
        )

    def __call__(self, batch: Batch, lens: Tensor) -> TeacherOutput:
        """What it gives for the batch as it was recorded, without augmentation, in the student's frames: lens (B,)."""
        device = batch.wave.device
        self.model.to(device)
        with torch.autocast(device.type, enabled=False):
            encoded = self._cache.encode(self.model, batch)
        return self.model.teach(encoded, lens, batch.tokens, self.config)


def has_same_encoder(teacher: SpeechModel, recipe: Recipe) -> bool:
    """Whether a student that does not train its encoder has that of the teacher, with the same front-end."""
    taken = recipe.init is None or {"frontend", "encoder"} <= set(recipe.init.parts)
    ours, theirs = recipe.model, teacher.config
    return taken and (ours.frontend, ours.encoder) == (theirs.frontend, theirs.encoder)


def load_teacher(recipe: Recipe, init: Path | None) -> SpeechModel | None:
    """The teacher, if the recipe learns from one. Raises ConfigError without --init, and for an augmentation that
    changes time: teacher and student are compared frame by frame."""
    if not recipe.loss.needs_teacher:
        return None
    needs = "loss.distill_encoder and distill_decoder"
    augment = recipe.augment
    timed = (
        augment.speed,
        augment.silence,
        augment.stretch,
        recipe.data.concat_prob,
        recipe.loss.consistency,
    )
    check(
        not any(timed),
        f"{needs} compare frame by frame: set augment.speed, augment.silence, augment.stretch, data.concat_prob "
        "and loss.consistency to 0",
    )
    if init is None:
        raise ConfigError(f"{needs} need a teacher: name its model with --init")
    return checkpoint.load(init).model
