"""`fit`: train a neural language model from a recipe and texts, with early stopping."""

import logging
import math
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback

from asrattn import provenance
from asrattn.config import JSONValue, to_plain, upgrade
from asrattn.errors import DataError, StoppedError
from asrattn.lm import neural
from asrattn.lm.perplexity import TextPerplexity
from asrattn.model_file import damaged_configuration
from asrattn.text import Tokenizer
from asrattn.training import metrics_log, run_folder, schedule, trainer
from asrattn.training.data.sampler import derive_seed
from asrattn.training.lm.datamodule import Sentences, TextDataModule
from asrattn.training.lm.module import LMLightningModule
from asrattn.training.lm.recipe import LMRecipe
from asrattn.training.resume import SavedRun, check_same, check_seed, load_run, note_changes
from asrattn.training.signals import StopSignalHandler

log = logging.getLogger(__name__)

MODEL_FILE = "lm.safetensors"


def fit(
    recipe: LMRecipe,
    texts: Iterable[str],
    dev: Sequence[str],
    tokenizer: Tokenizer,
    out: Path,
    resume: bool = False,
    seed: int = 0,
    accelerator: str = "auto",
    command: Sequence[str] = (),
) -> Path:
    """Train on the texts, evaluate on dev after each epoch; the path of the best model's file, out/lm.safetensors.

    `out` also holds last.ckpt (to resume) and metrics.csv. The same seed and machine give the same losses, also for a
    resumed run, which restarts at the end of an epoch. command: the command line, for the card.

    Raises ConfigError if `out` holds a run and `resume` is not set, or a run of another recipe or tokenizer; DataError
    if there is no text, or for a non-finite loss; CheckpointError as `checkpointing.load_latest`; StoppedError on
    Ctrl-C.
    """
    with trainer.own_folder(out, resume):
        saved = _load_saved(out, recipe, tokenizer, seed) if resume else None
        module, datamodule, known = _prepare(recipe, texts, tokenizer, seed, command)
        module.origin = note_changes(saved, recipe, "lm_recipe", {"train": known["data"]})
        callbacks = [LMTrainingCallback(out, dev, known)]
        clip, epochs = recipe.train.clip, recipe.train.epochs
        built = trainer.build(callbacks, 1, accelerator, recipe.train.precision, epochs, "auto", clip=clip)
        trainer.run(built, module, datamodule, saved.path if saved else None)
    return out / MODEL_FILE


def _prepare(
    recipe: LMRecipe, texts: Iterable[str], tokenizer: Tokenizer, seed: int, command: Sequence[str]
) -> tuple[LMLightningModule, TextDataModule, dict[str, JSONValue]]:
    """The network, its sentences, and the part of the card known at the start."""
    sentences = Sentences(texts, tokenizer)
    if sentences.unknown:
        log.warning(
            "%d characters are unknown to the tokenizer, and are unknown to the model", sentences.unknown
        )
    torch.manual_seed(derive_seed("model", seed))
    module = LMLightningModule(recipe, neural.build(recipe.model, tokenizer.size), tokenizer, seed)
    parameters = sum(p.numel() for p in module.parameters())
    tokens = len(sentences.tokens)
    log.info(
        "%s: %.2f M parameters; %d sentences of %d tokens",
        recipe.name,
        parameters / 1e6,
        len(sentences.counts),
        tokens,
    )
    known: dict[str, JSONValue] = {
        "name": recipe.name,
        "parameters": parameters,
        "sentences": len(sentences.counts),
        "tokens": tokens,
        "data": sentences.fingerprint(),
        "seed": seed,
        "commit": provenance.git_commit(),
        "recipe": to_plain(recipe),
        "command": list(command),
        "versions": provenance.versions(),
    }
    return module, TextDataModule(sentences, recipe.train.batch_tokens, seed), known


def _load_saved(out: Path, recipe: LMRecipe, tokenizer: Tokenizer, seed: int) -> SavedRun:
    saved = load_run(out, "asrattn lm train-neural", "lm_recipe")
    with damaged_configuration(saved.path):
        same = upgrade(LMRecipe, saved.about["lm_recipe"]) == to_plain(recipe)
    check_same(saved, recipe=same, tokenizer=saved.about.get("tokenizer") == tokenizer.to_plain())
    check_seed(saved, seed)
    return saved


class LMTrainingCallback(Callback):
    """After each epoch: perplexity of dev, a row in metrics.csv, the best model file, early stopping, last.ckpt."""

    def __init__(self, out: Path, dev: Sequence[str], base_card: dict[str, JSONValue]) -> None:
        self.out, self.dev, self.base_card = out, dev, base_card
        self._signals = StopSignalHandler()
        self._bar: Any = None
        self._started = 0.0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        from tqdm import tqdm

        assert isinstance(pl_module, LMLightningModule)
        metrics_log.truncate_rows(self.out / "metrics.csv", len(pl_module.history))
        self._started = time.perf_counter()
        self._bar = tqdm(
            total=1.0,
            initial=pl_module.progress(),
            disable=not sys.stderr.isatty(),
            leave=False,
            bar_format="{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}",
        )
        self._signals.install()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, LMLightningModule)
        self._bar.update(pl_module.progress(batch_idx + 1) - self._bar.n)
        if self._signals.name is not None:
            before = (
                "--resume continues from the end of the previous one" if pl_module.history else "start again"
            )
            raise StoppedError(
                f"stopped by {self._signals.name} in epoch {trainer.current_epoch + 1}; {before}"
            )

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, LMLightningModule)
        loss = float(pl_module.nll_sum) / max(pl_module.token_count, 1)
        if not math.isfinite(loss):
            raise DataError(f"non-finite loss in epoch {trainer.current_epoch + 1}; lower the learning rate")
        found = neural.perplexity(pl_module.network, pl_module.tokenizer, self.dev)
        dev_loss = math.log(found.tokens.including_oov)
        best = dev_loss < min((each.loss for each in pl_module.history), default=math.inf)
        progress = (trainer.current_epoch + 1) / pl_module.recipe.train.epochs
        pl_module.history.append(schedule.ValidationRecord(progress, dev_loss, dev_loss))
        if best:
            neural.save(
                self.out / MODEL_FILE, pl_module.network, pl_module.tokenizer, self._card(trainer, found)
            )
        self._log_epoch(trainer, pl_module, loss, found)
        losses = [each.loss for each in pl_module.history]
        worse = len(losses) - 1 - losses.index(min(losses))
        if 0 < pl_module.recipe.train.patience <= worse:
            trainer.should_stop = True
            log.info("early stopping: no better perplexity in %d epochs", worse)
        trainer.save_checkpoint(self.out / run_folder.LAST_CHECKPOINT)

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        if self._bar is not None:
            self._bar.close()

    def _log_epoch(
        self, trainer: L.Trainer, module: LMLightningModule, loss: float, found: TextPerplexity
    ) -> None:
        row: dict[str, float | int | None] = {
            "epoch": trainer.current_epoch + 1,
            "step": trainer.global_step,
            "learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
            "train_perplexity": math.exp(min(loss, 700.0)),
            "dev_perplexity": found.tokens.including_oov,
            "dev_word_perplexity": found.per_word,
            "dev_character_perplexity": found.per_character,
            "seconds": time.perf_counter() - self._started,
        }
        metrics_log.append_row(self.out / "metrics.csv", row)
        self._bar.clear()
        per_unit = f"by word {found.per_word:.2f}   by character {found.per_character:.3f}"
        dev = f"{found.tokens.including_oov:.2f}   {per_unit}"
        epoch = f"{row['epoch']}/{module.recipe.train.epochs}"
        log.info("epoch %s   perplexity %.2f, of dev %s", epoch, row["train_perplexity"], dev)

    def _card(self, trainer: L.Trainer, found: TextPerplexity) -> dict[str, JSONValue]:
        result: dict[str, JSONValue] = {
            "dev_perplexity": round(found.tokens.including_oov, 4),
            "dev_word_perplexity": round(found.per_word, 4),
            "dev_character_perplexity": round(found.per_character, 4),
            "epochs": trainer.current_epoch + 1,
            "seconds": round(time.perf_counter() - self._started, 1),
            "hardware": provenance.hardware(trainer.strategy.root_device),
        }
        return self.base_card | result
