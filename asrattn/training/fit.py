"""`fit`: from a recipe and a corpus to a model file."""

import json
import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback

from asrattn import provenance, text
from asrattn.config import JSONValue, to_plain, upgrade
from asrattn.data import fingerprint
from asrattn.errors import CheckpointError, ConfigError, PeerFailureError
from asrattn.model import ModelConfig
from asrattn.model.speech_model import SpeechModel
from asrattn.text import Tokenizer
from asrattn.training import checkpointing, distributed, finetune, run_folder
from asrattn.training.callbacks import BestCheckpoint, ProgressBar, ResumeCheckpoint
from asrattn.training.checkpoint_averaging import CheckpointAverager
from asrattn.training.data import corpus as corpora
from asrattn.training.data import folder as data_folder
from asrattn.training.data.datamodule import SpeechDataModule
from asrattn.training.data.sampler import derive_seed
from asrattn.training.metrics_log import MetricsLogger, RunProgress
from asrattn.training.module import SpeechLightningModule
from asrattn.training.precision import LIGHTNING_PRECISION, resolve_precision
from asrattn.training.recipe import Precision, Recipe
from asrattn.training.run_folder import MODEL_FILE
from asrattn.training.time_profile import TimeProfiler
from asrattn.training.validation import Validation

log = logging.getLogger(__name__)

LONGEST_QUANTILE = 0.99  # share of the utterances trained on that a model is taken to know the length of


def fit(
    recipe: Recipe,
    data: Path,
    out: Path,
    devices: int = 1,
    nodes: int = 1,
    precision: Precision | None = None,
    resume: bool = False,
    seed: int = 0,
    accelerator: str = "auto",
    strategy: distributed.StrategyName = "ddp",
    init: Path | None = None,
    callbacks: Sequence[Callback] = (),
    command: Sequence[str] = (),
) -> Path:
    """Train on data/train.jsonl, judge on data/dev.jsonl; the path of the model file, out/model.safetensors.

    In `out` there are also last.ckpt (to resume), metrics.csv, tensorboard/, recipe.json and dropped.tsv, and kept/
    where models are averaged. The same seed, devices and machine give the same losses, also when a run is resumed.
    init: a model file to go on from, of the same architecture; what is resumed has taken it over already.
    callbacks: Lightning's, whose turn comes when the run is saved. command: what was typed, for the card.

    Raises ConfigError where `out` holds a run and `resume` is not set, or what is resumed or gone on from was another
    model; DataError for a corpus that cannot be trained on and for a loss that is no number; CheckpointError for a file
    that cannot be read or written; StoppedError on Ctrl-C; PeerFailureError where another process of the run is gone.
    """
    settled = resolve_precision(recipe.train.precision, precision, accelerator)
    recipe = replace(recipe, train=replace(recipe.train, precision=settled))
    if corpora.is_rank_zero():  # the first to write
        run_folder.prepare_out_dir(out, resume)
    found = checkpointing.load_latest(out) if resume else None
    earlier = _resumed_tokenizer(*found, recipe) if found else None
    last = found[0] if found else None
    del found  # as large as the model
    rate = recipe.model.frontend.rate
    begun = finetune.load(init, recipe.model) if init and not resume else None
    corpus = corpora.load(data, recipe.data, rate, earlier, begun.tokenizer if begun else None)
    model = _build(recipe, corpus.tokenizer.size, seed)
    corpus = corpora.filter_by_ctc_length(corpus, model, recipe.augment.min_length_factor)
    served = SpeechDataModule(corpus, recipe.data, rate, recipe.augment.stretch, seed)
    if init and begun:
        finetune.copy_weights(model, corpus.tokenizer, begun, init)
    elif not resume:
        model.frontend.fit(served.normalization_batches())
    finetune.freeze(model, recipe.train.freeze)
    if corpora.is_rank_zero():
        corpora.report_dropped(corpus, out / "dropped.tsv")
        _describe(recipe, model, served, out)
    sharded = strategy == "fsdp" and devices * nodes > 1
    module = SpeechLightningModule(recipe, model, corpus.tokenizer, seed, sharded)
    own = _callbacks(recipe, out, module, served, _base_card(recipe, data, served, init, command))
    trainer = _trainer(recipe, devices, nodes, accelerator, strategy, [*own, *callbacks])
    _run(trainer, module, served, last)
    return out / MODEL_FILE


def _build(recipe: Recipe, vocabulary: int, seed: int) -> SpeechModel:
    torch.manual_seed(derive_seed("model", seed))
    return SpeechModel(replace(recipe.model, vocabulary=vocabulary))


def _base_card(
    recipe: Recipe, data: Path, served: SpeechDataModule, init: Path | None, command: Sequence[str]
) -> dict[str, JSONValue]:
    """What the card says of a run from its start; taken now, since the files may change while it goes on."""
    if not corpora.is_rank_zero():
        return {}  # it writes no card
    known: dict[str, JSONValue] = {"commit": provenance.git_commit(), "recipe": to_plain(recipe)}
    known["longest_seconds"] = round(float(np.quantile(served.seconds, LONGEST_QUANTILE)), 1)
    if init:
        known["init"] = {"file": str(init), "fingerprint": fingerprint.hash_file(init)}
    return known | {
        "data": data_folder.fingerprints(data),
        "command": list(command),
        "versions": provenance.versions(),
    }


def _callbacks(
    recipe: Recipe,
    out: Path,
    module: SpeechLightningModule,
    served: SpeechDataModule,
    known: Mapping[str, JSONValue],
) -> list[Callback]:
    def made(model: SpeechModel, progress: RunProgress, found: Validation) -> dict[str, JSONValue]:
        result = _result(model, progress, found, module.trainer.world_size)
        return {"name": recipe.name, **result, "seed": module.seed, **known}

    keeper = BestCheckpoint(out, lambda progress, found: made(module.model, progress, found))
    callbacks: list[Callback] = [ProgressBar(), keeper, MetricsLogger(out, lambda: keeper.progress)]
    if (recipe.train.average_checkpoints, recipe.train.average_of) != (
        1,
        "best",
    ):  # this one the keeper keeps
        callbacks.append(
            CheckpointAverager(out, served, lambda model, found: made(model, keeper.progress, found))
        )
    return [
        *callbacks,
        ResumeCheckpoint(keeper),
        TimeProfiler(),
    ]  # after all whose state is saved, and whose time is told


def _run(
    trainer: L.Trainer, module: SpeechLightningModule, served: SpeechDataModule, last: Path | None
) -> None:
    """Train, from the checkpoint `last` on if there is one."""
    with warnings.catch_warnings():
        silence_lightning_warnings()
        try:
            trainer.fit(module, datamodule=served, ckpt_path=last, weights_only=True)
        except RuntimeError as error:
            if not distributed.is_peer_failure(error):
                raise
            raise PeerFailureError(
                f"another process of the run is gone, or did not answer ({_first_line(error)}); see what it said last, "
                "and continue with --resume"
            ) from None


def _trainer(
    recipe: Recipe,
    devices: int,
    nodes: int,
    accelerator: str,
    strategy: distributed.StrategyName,
    callbacks: list[Callback],
) -> L.Trainer:
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)  # what it says of itself is no news
    try:
        return L.Trainer(
            accelerator=accelerator,
            devices=devices,
            num_nodes=nodes,
            strategy=distributed.build_strategy(strategy, devices * nodes, recipe.loss),
            precision=LIGHTNING_PRECISION[recipe.train.precision],  # type: ignore[arg-type]
            max_epochs=recipe.train.epochs,
            check_val_every_n_epoch=recipe.train.validate_every,
            reload_dataloaders_every_n_epochs=1,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            callbacks=callbacks,
            plugins=[checkpointing.AtomicCheckpointIO()],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
    except (MisconfigurationException, ValueError, RuntimeError) as error:
        raise ConfigError(
            f"--devices {devices} --precision {recipe.train.precision}: {_first_line(error)}"
        ) from None


def _resumed_tokenizer(last: Path, content: dict[str, Any], recipe: Recipe) -> Tokenizer:
    """The tokenizer of the run to be resumed, which must have been of the same model."""
    try:
        run = json.loads(content["asrattn"])
        same = upgrade(ModelConfig, run["recipe"]["model"]) == to_plain(recipe.model)
        changed = _changed(run["recipe"]["train"], recipe)
        tokenizer = text.from_plain(run["tokenizer"])
    except (KeyError, TypeError, ValueError):
        raise CheckpointError(f"{last}: was not written by asrattn train; name the folder of a run") from None
    if not same:
        raise ConfigError(
            f"{last}: belongs to another model than the recipe {recipe.name!r}; name another folder"
        )
    if changed:
        name, before, now = changed
        raise ConfigError(
            f"{last}: was run with {name}={before}, and now it is {now}; what is resumed keeps it: "
            f"--set {name}={before}, or name another folder"
        )
    return tokenizer


def _changed(before: Mapping[str, JSONValue], recipe: Recipe) -> tuple[str, str, str] | None:
    """The first setting that differs among those which the optimizer's state depends on, or brings along."""
    for name in ("optimizer", "freeze"):
        now = to_plain(getattr(recipe.train, name))
        found = finetune.first_difference(before[name], now, f"train.{name}", ignored=("learning_rate",))
        if found:
            return found[0], finetune.format_value(found[1]), finetune.format_value(found[2])
    return None


def _describe(recipe: Recipe, model: SpeechModel, served: SpeechDataModule, out: Path) -> None:
    plain = json.dumps(to_plain(recipe), indent=2, ensure_ascii=False)
    (out / "recipe.json").write_text(plain + "\n", encoding="utf-8")
    parameters = sum(p.numel() for p in model.parameters())
    frozen = sum(p.numel() for p in model.parameters() if not p.requires_grad)
    log.info(
        "%s: %.2f M parameters%s, %d tokens; %d batches an epoch, %.1f %% padding",
        recipe.name,
        parameters / 1e6,
        f" ({frozen / 1e6:.2f} M frozen)" if frozen else "",
        model.config.vocabulary,
        len(served.epoch_plan(0)),
        100 * served.padding_ratio(),
    )


def _result(
    model: SpeechModel, progress: RunProgress, found: Validation, processes: int
) -> dict[str, JSONValue]:
    """What a run has come to, and what it took; rates in percent."""
    result = found.result()
    device = next(model.parameters()).device
    took: dict[str, JSONValue] = {
        "wall_seconds": round(progress.wall_seconds, 1),
        "cpu_seconds": round(progress.cpu_seconds, 1),
    }
    if device.type == "cuda":
        took["gpu_seconds"] = round(progress.wall_seconds * processes, 1)
    return {
        "dev_wer": round(100 * result.wer, 2),
        "dev_wer_interval": [round(100 * end, 2) for end in result.wer_interval],
        "dev_cer": round(100 * result.cer, 2),
        "dev_utterances": result.utterances,
        "epochs": progress.epochs,
        "parameters": sum(p.numel() for p in model.parameters()),
        **took,
        "energy": provenance.format_energy(progress.joules),
        "audio_seconds_per_second": round(progress.audio_seconds / max(progress.train_seconds, 1e-9), 1),
        "hardware": provenance.hardware(device, processes),
    }


def silence_lightning_warnings() -> None:
    """Lightning's advice that does not apply here, and what it does to itself; each by its words."""
    for message in (
        r".*isinstance\(treespec, LeafSpec\)` is deprecated.*",
        r".*does not have many workers which may be a bottleneck.*",  # decoded audio is in memory
        r".*Found \d+ module\(s\) in eval mode at the start of training.*",
        r".*You have overridden `.*` in `LightningModule`.*",
        r".*resuming from a checkpoint that ended before the epoch ended.*",  # ours begins where it was left
        r".*Trying to infer the `batch_size` from an ambiguous collection.*",
    ):
        warnings.filterwarnings("ignore", message=message)


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
