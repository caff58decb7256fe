"""LightningModule of BEST-RQ pre-training: masked prediction, gradient accumulation, dev accuracy over all ranks."""

import json
import logging
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import lightning as L
import torch
from torch.optim import Optimizer

from asrattn.config import JSONValue, to_plain
from asrattn.errors import DataError
from asrattn.layers.gemm_backend import GemmBackends, gemm_backends, use_gemm_backends
from asrattn.training import distributed, schedule
from asrattn.training.data.datamodule import SpeechDataModule
from asrattn.training.data.sampler import Batch, derive_seed
from asrattn.training.module import clip_gradients, halve_batches, seed_generators
from asrattn.training.optimizers.factory import build as build_optimizer
from asrattn.training.pretrain.network import BestRQ, MaskedBatch, PredictionSums
from asrattn.training.pretrain.quantizer import UNKNOWN_USAGE, CodebookUsage
from asrattn.training.pretrain.recipe import PretrainRecipe

log = logging.getLogger(__name__)

MAX_CODE_SHARE = 0.5  # of one code, above which the quantizer counts as collapsed


@dataclass(frozen=True)
class PredictionTotals:
    """Sums over predictions: cross-entropy in nats, correct ones, all; they add up over batches and ranks."""

    nats: float = 0.0
    correct: int = 0
    predictions: int = 0

    @staticmethod
    def of(sums: PredictionSums) -> "PredictionTotals":
        return PredictionTotals(float(sums.loss.detach()), int(sums.correct), int(sums.predictions))

    def __add__(self, other: "PredictionTotals") -> "PredictionTotals":
        return PredictionTotals(
            self.nats + other.nats,
            self.correct + other.correct,
            self.predictions + other.predictions,
        )

    @property
    def loss(self) -> float:
        """Nats per prediction; NaN without one."""
        return self.nats / self.predictions if self.predictions else math.nan

    @property
    def accuracy(self) -> float:
        """In [0, 1]; NaN without a prediction."""
        return self.correct / self.predictions if self.predictions else math.nan

    def all_reduce(self) -> "PredictionTotals":
        """The sum over all ranks; each of them must call this."""
        return sum(distributed.all_gather_objects(self), PredictionTotals())


class PretrainLightningModule(L.LightningModule):
    """Minimises the cross-entropy of the codes of masked frames, in nats per prediction.

    The loss of a step is the sum over all its predictions by their number, for any number of processes and
    micro-batches: masks are drawn for each utterance, from the seed, the epoch and its id.

    usage    of the codes in dev; known when training starts
    totals   of this epoch, of this process
    dev      totals of the last validation, over all ranks
    steps    done in this epoch
    history  all validations so far, for the learning-rate schedule; the error rate is 1 - accuracy
    """

    def __init__(self, recipe: PretrainRecipe, network: BestRQ, seed: int) -> None:
        super().__init__()
        self.automatic_optimization = False  # gradient accumulation
        self.recipe, self.network, self.seed = recipe, network, seed
        self.usage = UNKNOWN_USAGE
        self.totals = self.dev = PredictionTotals()
        self.steps = 0
        self.history: list[schedule.ValidationRecord] = []
        self.origin: dict[str, JSONValue] = {}  # of the run, for its checkpoints: see `resume.note_changes`

    def configure_optimizers(self) -> Optimizer:
        config = self.recipe.train
        return build_optimizer(config.optimizer, self.network, fused=config.precision != "fp16")

    def on_fit_start(self) -> None:
        if self.device.type != "cuda":
            use_gemm_backends(distributed.all_gather_objects(gemm_backends())[0])

    def on_train_start(self) -> None:
        """Count the codes of dev before the first step: a collapsed quantizer is known at once."""
        size = (self.recipe.bestrq.codebooks, self.recipe.bestrq.codebook_size)
        counts = torch.zeros(size, dtype=torch.int64)
        for batch in self._datamodule.val_dataloader():
            if batch.utterances:
                feats, lens = self.network.features(
                    batch.wave.to(self.device), batch.wave_lens.to(self.device)
                )
                counts += self.network.code_counts(feats, lens).cpu()
        self.usage = CodebookUsage.of(torch.stack(distributed.all_gather_objects(counts)).sum(0))
        if self.trainer.is_global_zero:
            _report_usage(self.usage, self.recipe.bestrq.codebook_size)

    def on_train_epoch_start(self) -> None:
        self.totals, self.steps = PredictionTotals(), 0

    def training_step(self, batches: list[Batch], index: int) -> None:
        """One optimizer step with gradient accumulation over the micro-batches of this process."""
        done = self.backward_within_memory(batches)
        config, scaler = self.recipe.train, getattr(self.trainer.precision_plugin, "scaler", None)
        norm = clip_gradients(self.network, config.clip, scaler)
        # With fp16, gradients that overflow are usual: the scaler skips such a step.
        if not (math.isfinite(done.nats) and (scaler or bool(norm.isfinite()))):
            raise DataError(
                f"non-finite loss or gradient in epoch {self.trainer.current_epoch + 1}, step {self.steps + 1}; "
                "lower the learning rate"
            )
        share = schedule.lr_factor(config.schedule, self.progress(0.5), self.history)
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = share * config.optimizer.learning_rate
        optimizer = self.optimizers()
        optimizer.step()  # type: ignore[union-attr]
        optimizer.zero_grad()  # type: ignore[union-attr]
        self.totals += done
        self.steps += 1

    def backward_within_memory(self, batches: list[Batch]) -> PredictionTotals:
        """Gradients of a step; after running out of memory, in smaller micro-batches.

        Raises DataError if they cannot be made smaller.
        """
        while True:
            try:
                return self._backward(batches)
            except torch.OutOfMemoryError:
                self.network.zero_grad()
            batches = halve_batches(batches)

    def validation_step(self, batch: Batch, index: int) -> None:
        if batch.utterances:
            self.dev += PredictionTotals.of(self.network(self.mask(batch, ("dev",))))

    def on_validation_epoch_start(self) -> None:
        """Every rank takes the running statistics (batch norm) of rank 0, which are those that are saved."""
        for buffer in self.network.buffers():
            buffer.copy_(distributed.broadcast_from_rank0(buffer))
        self.dev = PredictionTotals()

    def on_validation_epoch_end(self) -> None:
        """Every dev utterance was seen by one rank, with the same masks in every epoch."""
        self.dev = self.dev.all_reduce()
        self.history.append(schedule.ValidationRecord(self.progress(), self.dev.loss, 1 - self.dev.accuracy))

    def mask(self, batch: Batch, draw: Sequence[int | str]) -> MaskedBatch:
        """Features with masks that depend on the seed, on `draw` and on the id of each utterance only."""
        feats, lens = self.network.features(batch.wave, batch.wave_lens)
        ids = [u.id for u in batch.utterances] or ["silence"] * len(lens)  # of a process without an utterance
        masked = self.network.mask(feats, lens, [derive_seed("mask", self.seed, *draw, id_) for id_ in ids])
        return masked._replace(predicted=masked.predicted & bool(batch.utterances))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add to a resume checkpoint: recipe, seed, validations; steps and sums of the epoch so far."""
        run = {"pretrain_recipe": to_plain(self.recipe), "seed": self.seed}
        checkpoint["asrattn"] = json.dumps(
            {**run, **self.origin, "history": self.history, "gemm": gemm_backends()}
        )
        here = {
            "epoch": self.trainer.current_epoch,
            "steps": self.steps,
            "totals": asdict(self.totals.all_reduce()),
        }
        checkpoint["epoch_so_far"] = json.dumps(here)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        run, so_far = json.loads(checkpoint["asrattn"]), json.loads(checkpoint["epoch_so_far"])
        self.history = [schedule.ValidationRecord(*each) for each in run["history"]]
        use_gemm_backends(GemmBackends(*run.get("gemm", ())))
        self.steps = so_far["steps"]
        self.totals = PredictionTotals(**so_far["totals"]) if self.global_rank == 0 else PredictionTotals()
        self._datamodule.resume_position = (so_far["epoch"], self.steps)

    def progress(self, steps: float = 0.0) -> float:
        """The fraction of all steps that is done, in [0, 1]; `steps` is added to those of this epoch."""
        epoch = (self.steps + steps) / self.trainer.num_training_batches
        return (self.trainer.current_epoch + epoch) / self.recipe.train.epochs

    @property
    def _datamodule(self) -> SpeechDataModule:
        datamodule = self.trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(datamodule, SpeechDataModule)
        return datamodule

    def _backward(self, batches: list[Batch]) -> PredictionTotals:
        """Gradient accumulation over the micro-batches: gradients are all-reduced with the last one only."""
        epoch = self.trainer.current_epoch
        seed_generators(
            derive_seed("step", self.seed, epoch, self.steps, self.global_rank), self.device
        )  # also when resumed
        masked = [self.mask(batch, ("train", epoch)) for batch in batches]
        count = torch.stack([each.predicted.sum() for each in masked]).sum() * self.recipe.bestrq.codebooks
        count = distributed.all_reduce_sum(count).clamp(min=1)
        done = PredictionTotals()
        for number, each in enumerate(masked):
            distributed.set_grad_sync(self.trainer.model, enabled=number + 1 == len(masked))  # type: ignore[arg-type]
            sums = self.network(each)
            # DDP takes the mean over processes, but these losses are parts of one sum.
            self.manual_backward(sums.loss * (self.trainer.world_size / count))
            done += PredictionTotals.of(sums)
        return done


def _report_usage(usage: CodebookUsage, size: int) -> None:
    log.info(
        "codes of dev: %.0f %% used, perplexity %.0f of %d, the most frequent one %.1f %%",
        100 * usage.used,
        usage.perplexity,
        size,
        100 * usage.majority,
    )
    if usage.largest > MAX_CODE_SHARE:
        log.warning(
            "one code has %.0f %% of the frames of dev: there is little to predict; check the corpus for silence, or "
            "take another --seed",
            100 * usage.largest,
        )
