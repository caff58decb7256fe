"""Checkpoint averaging: the mean of the weights of the best or the last validated models."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback

from asrattn import checkpoint
from asrattn.config import JSONValue
from asrattn.model.speech_model import SpeechModel
from asrattn.training import distributed
from asrattn.training.data.datamodule import SpeechDataModule
from asrattn.training.module import SpeechLightningModule
from asrattn.training.run_folder import MODEL_FILE
from asrattn.training.validation import Validation, decode_batch

log = logging.getLogger(__name__)

CHECKPOINTS_FOLDER = "kept"


class CheckpointScore(NamedTuple):
    """A checkpoint with its dev WER (a fraction); epochs count from 1."""

    epoch: int
    wer: float


def select_checkpoints(
    scores: list[CheckpointScore], count: int, which: Literal["best", "last"]
) -> list[CheckpointScore]:
    """The `count` best or last checkpoints, in the order of their epochs; of equal WERs the later ones."""
    ascending = sorted(scores, key=lambda k: (-k.wer if which == "best" else 0.0, k.epoch))
    return sorted(ascending[-count:])


class CheckpointAverager(Callback):
    """Checkpoint averaging: keeps the selected checkpoints in OUT/kept; at the end validates their mean and writes it
    as the model of the run, unless it is worse than the start (`train.validate_start`). Until then the model file is
    the best single checkpoint.

    datamodule  serves dev
    card        metadata of the run, for the model file
    selected    the checkpoints to average as of now
    previous    the selection before: last.earlier.ckpt may refer to it, so its files are deleted one epoch later
    """

    def __init__(
        self,
        out: Path,
        datamodule: SpeechDataModule,
        card: Callable[[SpeechModel, Validation], dict[str, JSONValue]],
    ) -> None:
        self.out = out
        self.datamodule = datamodule
        self.card = card
        self.selected: list[CheckpointScore] = []
        self.previous: list[CheckpointScore] = []

    def state_dict(self) -> dict[str, Any]:
        return {"kept": json.dumps([self.selected, self.previous])}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        lists = json.loads(state_dict["kept"])
        self.selected, self.previous = ([CheckpointScore(*each) for each in one] for one in lists)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, SpeechLightningModule)
        found, config = pl_module.validation, pl_module.recipe.train
        if found is None:
            return
        if trainer.is_global_zero:
            self._delete_others([*self.selected, *self.previous])
        newest = CheckpointScore(trainer.current_epoch + 1, found.wer)
        self.previous = self.selected
        self.selected = select_checkpoints(
            [*self.selected, newest], config.average_checkpoints, config.average_of
        )
        if trainer.is_global_zero and newest in self.selected:
            card: dict[str, JSONValue] = {"name": pl_module.recipe.name, "epochs": newest.epoch}
            card["dev_wer"] = round(100 * newest.wer, 2)
            path, decoding = self._path(newest), pl_module.recipe.decoding
            checkpoint.save(path, pl_module.eval_model, pl_module.tokenizer, card, decoding)

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Also for a resumed run that has no epoch left to train."""
        assert isinstance(pl_module, SpeechLightningModule)
        saved = checkpoint.average([self._path(each) for each in self.selected])
        model = saved.model.to(trainer.strategy.root_device)
        found = self._validate(model, trainer, pl_module)
        if not trainer.is_global_zero:
            return
        self._delete_others(self.selected)
        epochs: list[JSONValue] = [each.epoch for each in self.selected]
        start = pl_module.start_wer
        worse = start is not None and found.wer > start
        if not worse:
            card = self.card(model, found) | {"averaged_epochs": epochs}
            checkpoint.save(self.out / MODEL_FILE, model, saved.tokenizer, card, saved.decoding)
        log.info(
            "average of the %s %d checkpoints (epochs %s): dev WER %.1f %%; the best single one %.1f %%",
            pl_module.recipe.train.average_of,
            len(epochs),
            ", ".join(map(str, epochs)),
            100 * found.wer,
            100 * min(each.wer for each in self.selected),
        )
        if worse:
            log.warning("the average is worse than the start: the best single model is kept")

    def _path(self, kept: CheckpointScore) -> Path:
        return self.out / CHECKPOINTS_FOLDER / f"epoch-{kept.epoch:04}.safetensors"

    def _delete_others(self, wanted: list[CheckpointScore]) -> None:
        kept = {self._path(each) for each in wanted}
        for path in (self.out / CHECKPOINTS_FOLDER).glob("epoch-*.safetensors*"):
            if path not in kept:
                path.unlink()

    @torch.no_grad()
    def _validate(self, model: SpeechModel, trainer: L.Trainer, module: SpeechLightningModule) -> Validation:
        """Decode dev as in a validation; each process decodes its share."""
        device, scored = trainer.strategy.root_device, []
        for batch in self.datamodule.val_dataloader():
            if batch.utterances:
                moved = batch.to(device)
                with trainer.precision_plugin.val_step_context():
                    scored += decode_batch(
                        model, module.tokenizer, moved, module.recipe.loss, module.decoding
                    )
        found = [each for part in distributed.all_gather_objects(scored) for each in part]
        return Validation(tuple(sorted(found, key=lambda s: s.row.id)))
