"""The mean of the best or the last judged models."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback

from asrattn import checkpoint
from asrattn.config import Plain
from asrattn.model.speech_model import SpeechModel
from asrattn.training import parallel
from asrattn.training.data import SpeechData
from asrattn.training.module import Training
from asrattn.training.run_folder import MODEL
from asrattn.training.validation import Validation, decode

log = logging.getLogger(__name__)

FOLDER = "kept"


class Kept(NamedTuple):
    """A model that was judged after an epoch, counted from 1; the WER is a share."""

    epoch: int
    wer: float


def choose(found: list[Kept], count: int, which: Literal["best", "last"]) -> list[Kept]:
    """So many of them, in the order of their epochs; among equals the later ones, which have seen more."""
    by_worth = sorted(found, key=lambda k: (-k.wer if which == "best" else 0.0, k.epoch))
    return sorted(by_worth[-count:])


class Averager(Callback):
    """Keeps as many judged models as are to be averaged, in OUT/kept; at the end judges their mean and leaves it as
    the model of the run. Until then that is the best one alone.

    served   holds dev
    card     what is known of the run, for the model file
    kept     what is averaged as of now
    earlier  what was before that: the checkpoint before the last may name it, so that it is deleted one later
    """

    def __init__(
        self, out: Path, served: SpeechData, card: Callable[[SpeechModel, Validation], dict[str, Plain]]
    ) -> None:
        self.out = out
        self.served = served
        self.card = card
        self.kept: list[Kept] = []
        self.earlier: list[Kept] = []

    def state_dict(self) -> dict[str, Any]:
        return {"kept": json.dumps([self.kept, self.earlier])}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        lists = json.loads(state_dict["kept"])
        self.kept, self.earlier = ([Kept(*each) for each in one] for one in lists)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, Training)
        found, config = pl_module.validation, pl_module.recipe.train
        if found is None:
            return
        if trainer.is_global_zero:
            self._tidy([*self.kept, *self.earlier])
        newest = Kept(trainer.current_epoch + 1, found.wer)
        self.earlier = self.kept
        self.kept = choose([*self.kept, newest], config.average, config.average_of)
        if trainer.is_global_zero and newest in self.kept:
            card: dict[str, Plain] = {"name": pl_module.recipe.name, "epochs": newest.epoch}
            card["dev_wer"] = round(100 * newest.wer, 2)
            path, search = self._path(newest), pl_module.recipe.search
            checkpoint.save(path, pl_module.judged, pl_module.tokenizer, card, search)

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Also where a run is resumed that has nothing left to train."""
        assert isinstance(pl_module, Training)
        saved = checkpoint.average([self._path(each) for each in self.kept])
        model = saved.model.to(trainer.strategy.root_device)
        found = self._judge(model, trainer, pl_module)
        if not trainer.is_global_zero:
            return
        self._tidy(self.kept)
        epochs: list[Plain] = [each.epoch for each in self.kept]
        card = self.card(model, found) | {"averaged_epochs": epochs}
        checkpoint.save(self.out / MODEL, model, saved.tokenizer, card, saved.search)
        log.info(
            "mean of the %s %d (epochs %s): dev WER %.1f %%; the best of them alone %.1f %%",
            pl_module.recipe.train.average_of,
            len(epochs),
            ", ".join(map(str, epochs)),
            100 * found.wer,
            100 * min(each.wer for each in self.kept),
        )

    def _path(self, kept: Kept) -> Path:
        return self.out / FOLDER / f"epoch-{kept.epoch:04}.safetensors"

    def _tidy(self, wanted: list[Kept]) -> None:
        kept = {self._path(each) for each in wanted}
        for path in (self.out / FOLDER).glob("epoch-*.safetensors*"):
            if path not in kept:
                path.unlink()

    @torch.no_grad()
    def _judge(self, model: SpeechModel, trainer: L.Trainer, module: Training) -> Validation:
        """Dev decoded as in a validation, every process its part."""
        device, scored = trainer.strategy.root_device, []
        for batch in self.served.val_dataloader():
            if batch.utterances:
                moved = batch.to(device)
                with trainer.precision_plugin.val_step_context():
                    scored += decode(model, module.tokenizer, moved, module.recipe.loss, module.search)
        found = [each for part in parallel.everyone(scored) for each in part]
        return Validation(tuple(sorted(found, key=lambda s: s.row.id)))
