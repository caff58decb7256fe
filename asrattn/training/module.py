"""The model in training: losses, steps, the moving average, and validation by real decoding."""

import copy
import json
import math
from dataclasses import replace

import lightning as L
import torch
from torch import Tensor
from torch.optim import Optimizer

from asrattn.augment import Augment
from asrattn.config import to_plain
from asrattn.errors import DataError
from asrattn.model import Losses, SpeechModel
from asrattn.text import Tokenizer
from asrattn.training import schedule
from asrattn.training.batches import Batch, seed_of
from asrattn.training.recipe import Recipe
from asrattn.training.validation import Scored, Validation, decode, gather

UNSEEN = 50  # steps between two looks at the loss on a GPU, which would have to be waited for


class Training(L.LightningModule):
    """A SpeechModel in training.

    average      a second model whose weights follow those of `model` as a moving average; it is judged and saved
    losses       sums over the batches of this epoch, in the order of Losses
    seconds      of audio trained on in this epoch, by this process
    validation   the last one of this epoch, or None
    """

    def __init__(self, recipe: Recipe, model: SpeechModel, tokenizer: Tokenizer, seed: int) -> None:
        super().__init__()
        self.recipe = recipe
        self.model = model
        self.average = copy.deepcopy(model).requires_grad_(False)
        self.tokenizer = tokenizer
        self.seed = seed
        self.augment = Augment(recipe.augment, recipe.model.frontend.rate)
        self.search = replace(recipe.search, beam=min(recipe.search.beam, recipe.train.validate_beam))
        self.losses = torch.zeros(len(Losses._fields))
        self.batches = 0
        self.seconds = 0.0
        self.validation: Validation | None = None
        self._unseen: list[tuple[Tensor, Batch]] = []  # the last losses, not yet looked at
        self._scored: list[Scored] = []

    def configure_optimizers(self) -> Optimizer:
        return schedule.optimizer(self.model, self.recipe.train)

    def on_train_epoch_start(self) -> None:
        self.validation = None
        self.losses = torch.zeros(len(Losses._fields), device=self.device)
        self.batches = 0
        self.seconds = 0.0

    def training_step(self, batch: Batch, index: int) -> Tensor:
        generator = self._seed(index)
        config, strength = self.recipe.loss, self.recipe.augment.strength(self.progress())
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            feats, lens = self._warped(batch, generator, strength)
            tokens, token_lens = batch.tokens, batch.token_lens
            if config.consistency:
                feats, lens, tokens, token_lens = (
                    torch.cat([x, x]) for x in (feats, lens, tokens, token_lens)
                )
            feats = self.augment.mask(feats, lens, generator, strength)
        losses = self.model.loss(feats, lens, tokens, token_lens, config)
        self._count(losses, batch)
        return losses.total

    def optimizer_step(self, *args: object, **kwargs: object) -> None:
        self._set_rate()
        super().optimizer_step(*args, **kwargs)  # type: ignore[arg-type]
        self._follow()

    def configure_gradient_clipping(self, *args: object, **kwargs: object) -> None:
        # Not Lightning's own, which refuses a fused optimizer although bf16 scales no gradients.
        if self.recipe.train.clip:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.train.clip)

    def on_validation_start(self) -> None:
        self.verify()
        self._scored = []
        for ours, theirs in zip(self.average.buffers(), self.model.buffers(), strict=True):
            ours.copy_(theirs)

    def validation_step(self, batch: Batch, index: int) -> None:
        if batch.utterances:
            self._scored += decode(self.average, self.tokenizer, batch, self.recipe.loss, self.search)

    def on_validation_epoch_end(self) -> None:
        self.validation = gather(self._scored)

    def on_save_checkpoint(self, checkpoint: dict[str, object]) -> None:
        run = {"recipe": to_plain(self.recipe), "tokenizer": self.tokenizer.to_plain(), "seed": self.seed}
        checkpoint["asrattn"] = json.dumps(run)

    def verify(self) -> None:
        """Raise DataError if a loss was no number; the checkpoint on disk is older than that."""
        unseen, self._unseen = self._unseen, []
        for loss, batch in unseen:
            if not math.isfinite(loss):
                ids = ", ".join(u.id for u in batch.utterances)
                raise DataError(
                    f"the loss became {float(loss)} in epoch {self.trainer.current_epoch + 1} on the utterances {ids}; "
                    "look at their audio and texts, or lower train.learning_rate"
                )

    def _warped(self, batch: Batch, generator: torch.Generator, strength: float) -> tuple[Tensor, Tensor]:
        wave, wave_lens = self.augment.wave(batch.wave, batch.wave_lens, generator)
        feats, lens = self.model.frontend(wave, wave_lens)
        return self.augment.warp(feats, lens, generator, batch.stretch, strength)

    def _count(self, losses: Losses, batch: Batch) -> None:
        self._unseen.append((losses.total.detach(), batch))
        if self.device.type == "cpu" or len(self._unseen) == UNSEEN:
            self.verify()
        self.losses += torch.stack(losses).detach()
        self.batches += 1
        self.seconds += sum(u.seconds for u in batch.utterances)

    def progress(self, steps: float = 0.0) -> float:
        """The share of all batches that is done, between 0 and 1; `steps` adds to those of this epoch."""
        epoch = (self.batches + steps) / self.trainer.num_training_batches
        return (self.trainer.current_epoch + epoch) / self.recipe.train.epochs

    def _set_rate(self) -> None:
        config = self.recipe.train
        rate = config.learning_rate * schedule.factor(self.progress(0.5), config.warmup, config.floor)
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = rate

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the average towards the weights; faster in the first steps, when it holds little but noise."""
        steps = self.trainer.global_step
        decay = min(self.recipe.train.ema, (1 + steps) / (10 + steps))
        pairs = list(self.average.parameters()), list(self.model.parameters())
        torch._foreach_lerp_(*pairs, 1 - decay)  # type: ignore[arg-type]

    def _seed(self, index: int) -> torch.Generator:
        """All randomness of a step follows from seed, epoch, step and process: nothing has to be restored when a
        run is resumed. The generator is for augmentation, torch's own for the model."""
        here = seed_of("step", self.seed, self.trainer.current_epoch, index, self.global_rank)
        torch.default_generator.manual_seed(here)  # torch.manual_seed would note down a stack each time
        if self.device.type == "cuda":
            torch.cuda.manual_seed(here)
        return torch.Generator().manual_seed(here)
