"""`fit`: from a recipe and texts to a neural language model."""

import json
import logging
import math
import sys
import time
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback

from asrattn import provenance
from asrattn.config import JSONValue, to_plain, upgrade
from asrattn.errors import CheckpointError, ConfigError, DataError, StoppedError
from asrattn.lm import neural
from asrattn.lm.perplexity import TextPerplexity
from asrattn.text import Tokenizer
from asrattn.training import checkpointing, metrics_log, run_folder, schedule
from asrattn.training.data.sampler import derive_seed
from asrattn.training.fit import silence_lightning_warnings
from asrattn.training.lm.datamodule import Sentences, TextDataModule
from asrattn.training.lm.module import LMLightningModule
from asrattn.training.lm.recipe import LMRecipe
from asrattn.training.precision import LIGHTNING_PRECISION
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
    """Train on the texts, judge on dev after each epoch; the path of the best model's file, out/lm.safetensors.

    In `out` there are also last.ckpt (to resume) and metrics.csv. The same seed and machine give the same losses, also
    when a run is resumed, which it is from the end of an epoch. command: what was typed, for the card.

    Raises ConfigError where `out` holds a run and `resume` is not set, or a run of another recipe or tokenizer;
    DataError where there is no text, or the loss becomes no number; CheckpointError as `storage.latest`; StoppedError
    on Ctrl-C.
    """
    run_folder.prepare_out_dir(out, resume)
    last = _latest(out, recipe, tokenizer) if resume else None
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
        "seed": seed,
        "commit": provenance.git_commit(),
        "recipe": to_plain(recipe),
        "command": list(command),
        "versions": provenance.versions(),
    }
    _run(
        recipe,
        module,
        TextDataModule(sentences, recipe.train.batch_tokens, seed),
        LMTrainingCallback(out, dev, known),
        accelerator,
        last,
    )
    return out / MODEL_FILE


def _latest(out: Path, recipe: LMRecipe, tokenizer: Tokenizer) -> Path:
    last, content = checkpointing.load_latest(out)
    try:
        run = json.loads(content["asrattn"])
        same = (
            upgrade(LMRecipe, run["lm_recipe"]) == to_plain(recipe),
            run["tokenizer"] == tokenizer.to_plain(),
        )
    except (KeyError, TypeError, ValueError):
        raise CheckpointError(
            f"{last}: was not written by asrattn lm train-neural; name the folder of such a run"
        ) from None
    for what, is_same in zip(("recipe", "tokenizer"), same, strict=True):
        if not is_same:
            raise ConfigError(
                f"{last}: belongs to a run with another {what}; name that one, or another folder"
            )
    return last


def _run(
    recipe: LMRecipe,
    module: LMLightningModule,
    data: TextDataModule,
    keeper: "LMTrainingCallback",
    accelerator: str,
    last: Path | None,
) -> None:
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)  # what it says of itself is no news
    with warnings.catch_warnings():
        silence_lightning_warnings()
        trainer = L.Trainer(
            accelerator=accelerator,
            devices=1,
            precision=LIGHTNING_PRECISION[recipe.train.precision],  # type: ignore[arg-type]
            max_epochs=recipe.train.epochs,
            gradient_clip_val=recipe.train.clip or None,
            reload_dataloaders_every_n_epochs=1,
            callbacks=[keeper],
            plugins=[checkpointing.AtomicCheckpointIO()],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(module, datamodule=data, ckpt_path=last, weights_only=True)


class LMTrainingCallback(Callback):
    """After each epoch dev, a row in the table, the model file if it is the best so far, last.ckpt; meanwhile a bar."""

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
            before = "--resume goes on from the end of the one before" if pl_module.history else "start again"
            raise StoppedError(
                f"stopped by {self._signals.name} in epoch {trainer.current_epoch + 1}; {before}"
            )

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, LMLightningModule)
        loss = float(pl_module.nll_sum) / max(pl_module.token_count, 1)
        if not math.isfinite(loss):
            raise DataError(
                f"the loss became no number in epoch {trainer.current_epoch + 1}; lower the learning rate"
            )
        found = neural.perplexity(pl_module.network, pl_module.tokenizer, self.dev)
        judged = math.log(found.tokens.including_oov)
        best = judged < min((each.loss for each in pl_module.history), default=math.inf)
        progress = (trainer.current_epoch + 1) / pl_module.recipe.train.epochs
        pl_module.history.append(schedule.ValidationRecord(progress, judged, judged))
        if best:
            neural.save(
                self.out / MODEL_FILE, pl_module.network, pl_module.tokenizer, self._card(trainer, found)
            )
        self._log_epoch(trainer, pl_module, loss, found)
        losses = [each.loss for each in pl_module.history]
        worse = len(losses) - 1 - losses.index(min(losses))
        if 0 < pl_module.recipe.train.patience <= worse:
            trainer.should_stop = True
            log.info("no better perplexity in %d epochs: stopped early", worse)
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
        by_word = f"by word {found.per_word:.2f}   by character {found.per_character:.3f}"
        of_dev = f"{found.tokens.including_oov:.2f}   {by_word}"
        epoch = f"{row['epoch']}/{module.recipe.train.epochs}"
        log.info("epoch %s   perplexity %.2f, of dev %s", epoch, row["train_perplexity"], of_dev)

    def _card(self, trainer: L.Trainer, found: TextPerplexity) -> dict[str, JSONValue]:
        judged: dict[str, JSONValue] = {
            "dev_perplexity": round(found.tokens.including_oov, 4),
            "dev_word_perplexity": round(found.per_word, 4),
            "dev_character_perplexity": round(found.per_character, 4),
            "epochs": trainer.current_epoch + 1,
            "seconds": round(time.perf_counter() - self._started, 1),
            "hardware": provenance.hardware(trainer.strategy.root_device),
        }
        return self.base_card | judged
