"""LightningModule of training: gradient accumulation, clipping, moving average (EMA), dev WER over all ranks.

`on_save_checkpoint` writes what resuming a run needs beside Lightning's own state.
"""

import copy
import json
import logging
from dataclasses import replace
from functools import partial
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from asrattn import attention_metrics
from asrattn.attention_metrics import AttentionMetrics
from asrattn.augment.transforms import Augment
from asrattn.config import JSONValue, to_plain
from asrattn.errors import DataError
from asrattn.layers.gemm_backend import GemmBackends, gemm_backends, use_gemm_backends
from asrattn.model.losses import Losses, LossNormalizer
from asrattn.model.speech_model import SpeechModel
from asrattn.text import Tokenizer
from asrattn.training import distributed, finetune, lora, schedule
from asrattn.training.data.datamodule import SpeechDataModule
from asrattn.training.data.sampler import Batch, derive_seed
from asrattn.training.distillation import Teacher
from asrattn.training.encoder_cache import EncoderCache, is_keepable
from asrattn.training.optimizers.factory import build as build_optimizer
from asrattn.training.recipe import Recipe
from asrattn.training.validation import DevUtteranceResult, Validation, decode_batch, measure_attention

log = logging.getLogger(__name__)


class SpeechLightningModule(L.LightningModule):
    """A SpeechModel in training.

    frozen_at_first  names of the weights that are frozen for the first `train.freeze_updates` updates
    average      a second model: the moving average (EMA) of the weights of `model`
    losses       sums over the steps of this epoch, in the order of Losses; of this process
    steps        done in this epoch
    seconds      of audio trained on in this epoch, by this process
    skipped      steps skipped for a non-finite loss or gradient, in all epochs
    validation   the last one of this epoch, or None
    history      all validations so far, for the learning-rate schedule
    origin       of the run, for its checkpoints: see `resume.note_changes`
    """

    losses: Tensor

    def __init__(
        self,
        recipe: Recipe,
        model: SpeechModel,
        tokenizer: Tokenizer,
        seed: int,
        sharded: bool = False,
        teacher: SpeechModel | None = None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = (
            False  # gradient accumulation, and steps repeated after running out of memory
        )
        self.recipe = recipe
        self.model = model
        self.average = copy.deepcopy(model).requires_grad_(False)
        self.tokenizer = tokenizer
        self.seed = seed
        few = recipe.train.freeze if recipe.train.freeze_updates else ()
        self.frozen_at_first = finetune.select_frozen(model, few) if few else []
        self.sharded = sharded
        self.augment = Augment(recipe.augment, recipe.model.frontend.rate)
        self.decoding = replace(
            recipe.decoding, beam_size=min(recipe.decoding.beam_size, recipe.train.validate_beam)
        )
        self.encoder_cache = EncoderCache(recipe.data.keep_encoded) if is_keepable(recipe) else None
        self.teacher = Teacher(teacher, recipe, self.encoder_cache) if teacher else None
        # A buffer: a resumed run is loaded before it is moved to its device.
        self.register_buffer("losses", torch.zeros(len(Losses._fields)), persistent=False)
        self.steps = 0
        self.seconds = 0.0
        self.skipped = 0
        self.validation: Validation | None = None
        self.history: list[schedule.ValidationRecord] = []
        self.origin: dict[str, JSONValue] = {}
        self._eval_models: list[SpeechModel] = []  # in a list, so that it is not registered as a submodule
        self._scored: list[DevUtteranceResult] = []
        self._attention: list[tuple[AttentionMetrics, Tensor]] = []

    def configure_model(self) -> None:
        if self.sharded:
            assert self.device_mesh is not None
            for model in (self.model, self.average):
                distributed.shard_model(model, self.device_mesh["data_parallel"])
            self.sharded = False  # Lightning may call this again

    def configure_optimizers(self) -> Optimizer:
        config = self.recipe.train
        fused = config.precision != "fp16"
        return build_optimizer(config.optimizer, self.model, fused, config.layer_decay, self.frozen_at_first)

    def on_fit_start(self) -> None:
        if self.device.type == "cuda":
            self.find_max_device_seconds()
        else:
            use_gemm_backends(distributed.all_gather_objects(gemm_backends())[0])

    def find_max_device_seconds(self) -> None:
        """Before the first step, halve the audio per micro-batch until the largest one fits into the device's memory.

        Raises DataError if not even a single utterance fits.
        """
        datamodule = self._datamodule
        saved = [
            buffer.clone() for buffer in self.model.buffers()
        ]  # keep the silence out of batch norm's statistics
        trained = [p for p in self.model.parameters() if p.requires_grad]
        held = [torch.empty_like(p) for p in trained for _ in range(2)]  # as much as the optimizer's state
        while not self._fits_in_memory(datamodule.largest_batch().to(self.device)):
            if 2 * max(datamodule.seconds) > datamodule.max_device_seconds:
                raise DataError(
                    f"out of memory with one utterance of {max(datamodule.seconds):.0f} s; lower data.max_seconds"
                )
            datamodule.max_device_seconds /= 2
            log.warning(
                "out of memory: at most %.0f s of audio on a device at once", datamodule.max_device_seconds
            )
        del held
        for buffer, before in zip(self.model.buffers(), saved, strict=True):
            buffer.copy_(before)

    def on_train_epoch_start(self) -> None:
        self.validation, self._eval_models = None, []
        self.losses = torch.zeros(len(Losses._fields), device=self.device)
        self.steps = 0
        self.seconds = 0.0

    def training_step(self, batches: list[Batch], index: int) -> None:
        """One optimizer step with gradient accumulation over the micro-batches of this process."""
        losses, batches = self.backward_within_memory(batches)
        self._drop_frozen_gradients()
        norm = clip_gradients(self.model, self.recipe.train.clip, self._scaler())
        if self._is_finite_step(losses, norm, batches):
            self._set_learning_rate()
            self.optimizers().step()  # type: ignore[union-attr]
            self._update_average()
            self.losses += losses.nan_to_num().sum(0)
        self.optimizers().zero_grad()  # type: ignore[union-attr]
        self.steps += 1
        self.seconds += sum(u.seconds for batch in batches for u in batch.utterances)

    def backward_within_memory(self, batches: list[Batch]) -> tuple[Tensor, list[Batch]]:
        """Gradients of a step; after running out of memory, in smaller micro-batches. The losses of each of them
        (P, losses), and the micro-batches.

        Raises DataError if they cannot be made smaller.
        """
        while True:
            try:
                return self._backward(batches, self._seed_step()), batches
            except torch.OutOfMemoryError:
                self.model.zero_grad()
            batches = halve_batches(batches)

    @property
    def eval_model(self) -> SpeechModel:
        """The model that is validated and saved: the moving average, unsharded and with its adapters merged; from a
        validation to the epoch's end."""
        return self._eval_models[0]

    def on_validation_start(self) -> None:
        for ours, theirs in zip(self.average.buffers(), self.model.buffers(), strict=True):
            ours.copy_(distributed.broadcast_from_rank0(theirs))
        whole = distributed.unshard(self.average)
        self._eval_models = [lora.merge(whole) if self.recipe.train.lora else whole]
        self._scored, self._attention = [], []

    def validation_step(self, batch: Batch, index: int) -> None:
        if batch.utterances:
            self._scored += decode_batch(
                self.eval_model,
                self.tokenizer,
                batch,
                self.recipe.loss,
                self.decoding,
                self.encoder_cache,
                self.recipe.train.normalize,
            )
            if index == int(self.trainer.num_val_batches[0]) // 2:
                self._attention.append(
                    measure_attention(self.eval_model, batch, self.recipe.loss, self.encoder_cache)
                )

    def on_validation_epoch_end(self) -> None:
        """The WER over all ranks: every utterance was decoded by one of them, and is counted once."""
        scored = [each for part in distributed.all_gather_objects(self._scored) for each in part]
        attention = [each for part in distributed.all_gather_objects(self._attention) for each in part]
        mean = attention_metrics.mean([metrics for metrics, _ in attention])
        weights = next((weights for _, weights in attention), None)
        ordered = tuple(sorted(scored, key=lambda s: s.row.id))
        self.validation = validation = Validation(ordered, mean, weights)
        train_loss = float(self.mean_losses().total)
        self.history.append(
            schedule.ValidationRecord(self.progress(), validation.loss, validation.wer, train_loss)
        )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add to a resume checkpoint: recipe, tokenizer, seed, validations; position, losses and seconds of the epoch.

        Lightning writes the weights and the states of the optimizer and the callbacks.
        """
        run = {"recipe": to_plain(self.recipe), "tokenizer": self.tokenizer.to_plain(), "seed": self.seed}
        checkpoint["asrattn"] = json.dumps(
            {**run, **self.origin, "history": self.history, "gemm": gemm_backends()}
        )
        here = {"steps": self.steps, "skipped": self.skipped, "epoch": self.trainer.current_epoch}
        parts = [
            (losses.tolist(), s)
            for losses, s in distributed.all_gather_objects((self.losses.cpu(), self.seconds))
        ]
        checkpoint["epoch_so_far"] = json.dumps({**here, "parts": parts})

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        run = json.loads(checkpoint["asrattn"])
        self.history = [schedule.ValidationRecord(*each) for each in run["history"]]
        use_gemm_backends(GemmBackends(*run.get("gemm", ())))
        so_far = json.loads(checkpoint["epoch_so_far"])
        self.steps, self.skipped = so_far["steps"], so_far["skipped"]
        losses, self.seconds = so_far["parts"][self.global_rank % len(so_far["parts"])]
        unknown = [0.0] * (len(Losses._fields) - len(losses))  # losses that an older run did not know
        self.losses = torch.tensor(losses + unknown, device=self.device)
        self._datamodule.resume_position = (so_far["epoch"], self.steps)

    def mean_losses(self) -> Losses:
        """Of this epoch so far, over all processes; each of them must call this."""
        return Losses(*(distributed.all_reduce_sum(self.losses) / max(self.steps, 1)).unbind())

    def progress(self, steps: float = 0.0) -> float:
        """The fraction of all steps that is done, in [0, 1]; `steps` is added to those of this epoch."""
        epoch = (self.steps + steps) / self.trainer.num_training_batches
        return (self.trainer.current_epoch + epoch) / self.recipe.train.epochs

    @property
    def start_wer(self) -> float | None:
        """The dev WER before the first update, a fraction; None without `train.validate_start`."""
        first = self.history[0] if self.history and self.recipe.train.validate_start else None
        return first.wer if first and first.progress == 0 else None

    @property
    def _datamodule(self) -> SpeechDataModule:
        datamodule = self.trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(datamodule, SpeechDataModule)
        return datamodule

    def _fits_in_memory(self, batch: Batch) -> bool:
        """Whether a forward and backward pass over the batch fits into the memory of every process."""
        enough = True
        distributed.set_grad_sync(self.trainer.model, enabled=False)  # type: ignore[arg-type]
        try:
            with self.trainer.precision_plugin.train_step_context():
                self.manual_backward(self._loss(batch, self._seed_step()).total)
        except torch.OutOfMemoryError:
            enough = False
        self.model.zero_grad()
        return not distributed.all_reduce_any((not enough,), self.device)[0]

    def _backward(self, batches: list[Batch], generator: torch.Generator) -> Tensor:
        """Gradient accumulation: the sum over the micro-batches; gradients are all-reduced with the last one only."""
        accumulated = []
        for number, batch in enumerate(batches):
            distributed.set_grad_sync(self.trainer.model, enabled=number + 1 == len(batches))  # type: ignore[arg-type]
            losses = self._loss(batch, generator)
            # DDP takes the mean over processes, but these losses are parts of one sum.
            self.manual_backward(losses.total * (self.trainer.world_size * bool(batch.utterances)))
            accumulated.append(torch.stack(losses).detach() * bool(batch.utterances))
        return torch.stack(accumulated)

    def _loss(self, batch: Batch, generator: torch.Generator) -> Losses:
        config, strength = self.recipe.loss, self.recipe.augment.strength(self.progress())
        if self.encoder_cache and batch.utterances:
            with torch.autocast(self.device.type, enabled=False):
                encoded = self.encoder_cache.encode(self.model, batch)
            taught = self.teacher(batch, encoded.lens) if self.teacher else None
            return self.model.loss_of_encoded(
                encoded, batch.tokens, batch.token_lens, config, batch.normalizer, taught
            )
        whole, parts = batch.normalizer, (batch.tokens, batch.token_lens)
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            wave, lens = self.augment.augment_wave(batch.wave, batch.wave_lens, generator)
            feats, lens = self.model.frontend(wave, lens)
            feats, lens = self.augment.warp_features(feats, lens, generator, batch.stretch, strength)
            if config.consistency:
                feats, lens, *parts = (torch.cat([x, x]) for x in (feats, lens, *parts))  # type: ignore[assignment]
                whole = LossNormalizer(2 * whole.utterances, 2 * whole.tokens)
            feats = self.augment.mask_features(feats, lens, generator, strength)
        teacher = partial(self.teacher, batch) if self.teacher and batch.utterances else None
        return self.model.loss(feats, lens, *parts, config, whole, teacher)

    def _drop_frozen_gradients(self) -> None:
        """Weights that are frozen for the first updates have no gradient: no optimizer moves them or starts their
        moments, and they do not count in the gradient norm."""
        if self.trainer.global_step < self.recipe.train.freeze_updates:
            for name in self.frozen_at_first:
                self.model.get_parameter(name).grad = None

    def _scaler(self) -> torch.amp.grad_scaler.GradScaler | None:
        return getattr(self.trainer.precision_plugin, "scaler", None)

    def _is_finite_step(self, losses: Tensor, norm: Tensor, batches: list[Batch]) -> bool:
        """Whether the step can be taken: all processes agree, since they have the same gradient.

        Raises DataError if more than `train.max_nonfinite_steps` would be skipped. With fp16 only the loss counts:
        gradients that overflow are usual, and left to the gradient scaler.
        """
        wrong = [b for b, good in zip(batches, losses.isfinite().all(1).tolist(), strict=True) if not good]
        scaled = self._scaler() is not None
        if not wrong if scaled else bool(norm.isfinite()):
            return True
        self.skipped += 1
        mine = [u.id for batch in wrong for u in batch.utterances]
        ids = mine if scaled else [i for part in distributed.all_gather_objects(mine) for i in part]
        epoch = self.trainer.current_epoch + 1
        what = (
            f"loss in epoch {epoch} (utterances {', '.join(ids)})"
            if ids
            else f"gradient in step {self.steps + 1}"
        )
        if self.skipped > self.recipe.train.max_nonfinite_steps:
            raise DataError(
                f"non-finite {what}; check audio and transcripts, lower the learning rate, or raise "
                "train.max_nonfinite_steps"
            )
        log.warning(
            "non-finite %s: step skipped (%d of at most %d)",
            what,
            self.skipped,
            self.recipe.train.max_nonfinite_steps,
        )
        return scaled  # the scaler skips it by itself, and lowers its scale

    def _set_learning_rate(self) -> None:
        config = self.recipe.train
        share = schedule.lr_factor(config.schedule, self.progress(0.5), self.history)
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = share * config.optimizer.learning_rate * group.get("lr_scale", 1.0)

    @torch.no_grad()
    def _update_average(self) -> None:
        """Move the average (EMA) towards the weights; faster in the first steps, when it is mostly initial noise."""
        steps = self.trainer.global_step
        decay = min(self.recipe.train.ema, (1 + steps) / (10 + steps))
        pairs = list(self.average.parameters()), list(self.model.parameters())
        torch._foreach_lerp_(*pairs, 1 - decay)  # type: ignore[arg-type]

    def _seed_step(self) -> torch.Generator:
        """Seed a step by seed, epoch, step and rank: a resumed run restores no random state. The generator is for
        augmentation, torch's own for the model."""
        here = derive_seed("step", self.seed, self.trainer.current_epoch, self.steps, self.global_rank)
        seed_generators(here, self.device)
        return torch.Generator().manual_seed(here)


def seed_generators(seed: int, device: torch.device) -> None:
    """Seed torch's own generators, on the CPU and on the device."""
    torch.default_generator.manual_seed(seed)  # faster than torch.manual_seed, which records a stack
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


def clip_gradients(
    model: nn.Module, clip: float, scaler: torch.amp.grad_scaler.GradScaler | None = None
) -> Tensor:
    """The gradient norm before clipping to `clip`; 0 does not clip. With fp16 the gradients are still scaled, and so is
    the bound."""
    norm = torch.nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None])
    norm = getattr(norm, "full_tensor", lambda: norm)()
    if clip:
        bound = clip * (scaler.get_scale() if scaler else 1.0)
        torch.nn.utils.clip_grads_with_norm_(model.parameters(), bound, norm)
    return norm


def halve_batches(batches: list[Batch]) -> list[Batch]:
    """Twice as many micro-batches of half the size. Raises DataError with several processes, which would fall out of
    step, and if a single utterance is too long."""
    most = max(batches, key=lambda b: len(b.utterances))
    seconds = sum(u.seconds for u in most.utterances)
    if distributed.world_size() > 1 or len(most.utterances) < 2:
        raise DataError(
            f"out of memory with {seconds:.0f} s of audio on the device; lower data.max_device_seconds "
            "(or data.max_seconds, if a single utterance is too long)"
        )
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    log.warning("out of memory with %.0f s of audio on the device: retried in two halves", seconds)
    return [half for b in batches for half in (b.halves() if len(b.utterances) > 1 else (b,))]
