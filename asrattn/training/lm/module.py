"""LightningModule of a neural language model: next-token cross-entropy."""

import json
from typing import Any

import lightning as L
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim import Optimizer

from asrattn.config import JSONValue, to_plain
from asrattn.layers.gemm_backend import GemmBackends, gemm_backends, use_gemm_backends
from asrattn.lm.recurrent import LSTMLM
from asrattn.lm.transformer import TransformerLM
from asrattn.text import BLANK, Tokenizer
from asrattn.training import schedule
from asrattn.training.data.sampler import derive_seed
from asrattn.training.lm.datamodule import LMBatch
from asrattn.training.lm.recipe import LMRecipe
from asrattn.training.optimizers.factory import build as build_optimizer


class LMLightningModule(L.LightningModule):
    """Minimises the cross-entropy in nats per token.

    nll_sum, token_count   sums over the tokens of this epoch
    history       dev loss after each epoch
    """

    def __init__(
        self, recipe: LMRecipe, network: LSTMLM | TransformerLM, tokenizer: Tokenizer, seed: int
    ) -> None:
        super().__init__()
        self.recipe, self.network, self.tokenizer, self.seed = recipe, network, tokenizer, seed
        self.nll_sum, self.token_count = torch.zeros(()), 0
        self.history: list[schedule.ValidationRecord] = []
        self.origin: dict[str, JSONValue] = {}  # of the run, for its checkpoints: see `resume.note_changes`

    def configure_optimizers(self) -> Optimizer:
        config = self.recipe.train
        return build_optimizer(config.optimizer, self.network, fused=config.precision != "fp16")

    def on_train_epoch_start(self) -> None:
        torch.manual_seed(
            derive_seed("dropout", self.seed, self.trainer.current_epoch)
        )  # also where it is resumed
        self.nll_sum, self.token_count = torch.zeros((), device=self.device), 0

    def on_train_batch_start(self, batch: LMBatch, index: int) -> None:
        config = self.recipe.train
        torch.manual_seed(
            derive_seed("step", self.seed, self.trainer.current_epoch, index)
        )  # also when resumed
        progress = self.progress(index + 0.5)
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = config.optimizer.learning_rate * schedule.lr_factor(
                config.schedule, progress, self.history
            )

    def training_step(self, batch: LMBatch, index: int) -> Tensor:
        inputs, targets = batch
        count = int((targets != BLANK).sum())
        logits = self.network(inputs).float()
        loss = F.cross_entropy(logits.transpose(1, 2), targets, ignore_index=BLANK)
        self.nll_sum += loss.detach() * count
        self.token_count += count
        return loss

    def progress(self, steps: float = 0.0) -> float:
        """The fraction of the run that is done, `steps` of this epoch included."""
        epoch = steps / self.trainer.num_training_batches
        return (self.trainer.current_epoch + epoch) / self.recipe.train.epochs

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        run = {"lm_recipe": to_plain(self.recipe), "tokenizer": self.tokenizer.to_plain(), "seed": self.seed}
        checkpoint["asrattn"] = json.dumps(
            {**run, **self.origin, "history": self.history, "gemm": gemm_backends()}
        )

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        run = json.loads(checkpoint["asrattn"])
        self.history = [schedule.ValidationRecord(*each) for each in run["history"]]
        use_gemm_backends(GemmBackends(*run.get("gemm", ())))
