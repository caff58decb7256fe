"""`fit`: train a speech model from a recipe and a corpus, on one or many devices."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch.callbacks import Callback

from asrattn import provenance, text
from asrattn.checkpoint import Checkpoint
from asrattn.config import JSONValue, to_plain, upgrade
from asrattn.data import fingerprint
from asrattn.errors import ConfigError
from asrattn.model import ModelConfig
from asrattn.model.speech_model import SpeechModel
from asrattn.model_file import damaged_configuration
from asrattn.text import Tokenizer
from asrattn.training import (
    distillation,
    distributed,
    finetune,
    initialization,
    lora,
    trainer,
)
from asrattn.training.callbacks import BestCheckpoint, ProgressBar, ResumeCheckpoint
from asrattn.training.checkpoint_averaging import CheckpointAverager
from asrattn.training.data import corpus as corpora
from asrattn.training.data import folder as data_folder
from asrattn.training.data.datamodule import SpeechDataModule
from asrattn.training.data.sampler import derive_seed
from asrattn.training.data_scaling import scale_to_data, updates_to_epochs
from asrattn.training.metrics_log import MetricsLogger, RunProgress
from asrattn.training.module import SpeechLightningModule
from asrattn.training.precision import resolve_precision
from asrattn.training.recipe import Precision, Recipe, TrainConfig
from asrattn.training.resume import SavedRun, check_seed, load_run, note_changes
from asrattn.training.run_folder import MODEL_FILE
from asrattn.training.time_profile import TimeProfiler
from asrattn.training.validation import Validation

log = logging.getLogger(__name__)

LONGEST_QUANTILE = 0.99  # of the training lengths: longer audio is cut into segments in use


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
    """Train on data/train.jsonl, validate on data/dev.jsonl; the path of the model file, out/model.safetensors.

    `out` also holds last.ckpt (to resume), metrics.csv, tensorboard/, recipe.json and dropped.tsv, and kept/ with
    checkpoint averaging. The same seed, devices and machine give the same losses, also for a resumed run.
    init: a model file to begin from, of the same architecture unless recipe.init names the parts that are taken; a
    resumed run ignores its weights.
    callbacks: Lightning callbacks, called after the run is saved. command: the command line, for the card.

    Raises ConfigError if `out` holds a run and `resume` is not set, or if the resumed run or `init` has another model;
    DataError for a corpus without usable utterances and for a non-finite loss; CheckpointError for a file that cannot
    be read or written; StoppedError on Ctrl-C; PeerFailureError if another process of the run is gone.
    """
    recipe = initialization.resolve(recipe, init)
    sharded = _is_sharded(strategy, devices * nodes, recipe)
    settled = resolve_precision(recipe.train.precision, precision, accelerator)
    recipe = replace(recipe, train=replace(recipe.train, precision=settled))
    with trainer.own_folder(out, resume):
        base = finetune.load(init, recipe) if init and not resume else None
        saved = _load_saved(out, recipe, seed) if resume else None
        module, datamodule = _prepare(recipe, data, out, saved, base, init, seed, sharded)
        recipe = module.recipe
        card = _base_card(recipe, data, datamodule, init, command)
        module.origin = note_changes(saved, recipe, "recipe", card.get("data"))
        card |= {"changed_on_resume": changes} if (changes := module.origin["changes"]) else {}
        own = _callbacks(recipe, out, module, datamodule, card)
        built = trainer.build(
            [*own, *callbacks],
            devices,
            accelerator,
            settled,
            recipe.train.epochs,
            distributed.build_strategy(strategy, devices * nodes, recipe.loss),
            nodes,
            recipe.train.validate_every,
            recipe.train.validate_start,
        )
        trainer.run(built, module, datamodule, saved.path if saved else None)
    return out / MODEL_FILE


def _prepare(
    recipe: Recipe,
    data: Path,
    out: Path,
    saved: SavedRun | None,
    base: Checkpoint | None,
    init: Path | None,
    seed: int,
    sharded: bool,
) -> tuple[SpeechLightningModule, SpeechDataModule]:
    """The model, with the weights it begins from, and the corpus."""
    resume = saved is not None
    earlier = _saved_tokenizer(saved) if saved else _taken_tokenizer(recipe, base)
    rate = recipe.model.frontend.rate
    extended = base.tokenizer if base and not recipe.init else None
    corpus = corpora.load(data, recipe.data, rate, earlier, extended)
    model = _build(recipe, corpus.tokenizer, seed)
    corpus = corpora.filter_by_length(corpus, model, recipe.augment.min_length_factor, recipe.loss)
    if recipe.train.scale_to_data:
        recipe = scale_to_data(recipe, len(corpus.train), corpus.train.seconds.sum(dtype=float))
    datamodule = SpeechDataModule(corpus, recipe.data, rate, recipe.augment.stretch, seed)
    recipe = updates_to_epochs(recipe, len(datamodule.epoch_plan(0)))
    if base and init:
        _copy_weights(model, recipe, corpus.tokenizer, base, init)
    if not resume and not (base and (not recipe.init or "frontend" in recipe.init.parts)):
        model.frontend.fit(datamodule.normalization_batches())
    _choose_trained(model, recipe, seed, fine_tuning=resume or base is not None)
    if extended:
        finetune.warn_of_untrained_tokens(model, corpus.tokenizer, extended)
    if distributed.is_rank_zero():
        corpora.report_dropped(corpus, out / "dropped.tsv")
        _describe(recipe, model, datamodule, out)
    teacher = distillation.load_teacher(recipe, init)
    module = SpeechLightningModule(recipe, model, corpus.tokenizer, seed, sharded, teacher)
    return module, datamodule


def _is_sharded(strategy: distributed.StrategyName, processes: int, recipe: Recipe) -> bool:
    sharded = strategy == "fsdp" and processes > 1
    if sharded and (recipe.train.lora or recipe.train.freeze_updates):
        raise ConfigError("train.lora and train.freeze_updates need whole weights; use --strategy ddp")
    if sharded and recipe.data.keep_encoded:
        raise ConfigError("data.keep_encoded needs whole weights; use --strategy ddp, or set it to 0")
    return sharded


def _build(recipe: Recipe, tokenizer: Tokenizer, seed: int) -> SpeechModel:
    torch.manual_seed(derive_seed("model", seed))
    model = SpeechModel(replace(recipe.model, vocabulary=tokenizer.size))
    model.spell_with(tokenizer)
    return model


def _copy_weights(
    model: SpeechModel, recipe: Recipe, tokenizer: Tokenizer, base: Checkpoint, path: Path
) -> None:
    if recipe.init:
        finetune.copy_parts(model, base, path, recipe.init.parts, recipe.init.decoder_layers)
    else:
        finetune.copy_weights(model, tokenizer, base, path)


def _taken_tokenizer(recipe: Recipe, base: Checkpoint | None) -> Tokenizer | None:
    """The tokenizer of the decoder that is taken from another model; None: it is made from the texts."""
    taken = recipe.init is not None and "decoder" in recipe.init.parts
    return base.tokenizer if base and taken else None


def _choose_trained(model: SpeechModel, recipe: Recipe, seed: int, fine_tuning: bool) -> None:
    """Add adapters, and freeze what is not trained."""
    if recipe.train.lora:
        if not fine_tuning:
            raise ConfigError("train.lora: adapts a trained model; name it with --init")
        lora.add_adapters(model, recipe.train.lora, seed)
    names, updates = recipe.train.freeze, recipe.train.freeze_updates
    if updates:
        log.info("frozen for the first %d updates: %s", updates, ", ".join(names))  # by the module
    else:
        finetune.freeze(model, names)


def _base_card(
    recipe: Recipe, data: Path, datamodule: SpeechDataModule, init: Path | None, command: Sequence[str]
) -> dict[str, JSONValue]:
    """The part of the card known at the start; collected now, since the files may change during the run."""
    if not distributed.is_rank_zero():
        return {}  # it writes no card
    known: dict[str, JSONValue] = {"commit": provenance.git_commit(), "recipe": to_plain(recipe)}
    known["longest_seconds"] = round(float(np.quantile(datamodule.seconds, LONGEST_QUANTILE)), 1)
    if init:
        known["init"] = {"file": str(init), "fingerprint": fingerprint.hash_file(init)}
        known |= initialization.inherited_card(recipe, init)
    return known | {
        "data": data_folder.fingerprints(data),
        "command": list(command),
        "versions": provenance.versions(),
    }


def _callbacks(
    recipe: Recipe,
    out: Path,
    module: SpeechLightningModule,
    datamodule: SpeechDataModule,
    known: Mapping[str, JSONValue],
) -> list[Callback]:
    def card(model: SpeechModel, progress: RunProgress, found: Validation) -> dict[str, JSONValue]:
        result = _result(model, progress, found, module.trainer.world_size)
        return {"name": recipe.name, **result, "seed": module.seed, **known}

    best = BestCheckpoint(out, lambda progress, found: card(module.eval_model, progress, found))
    callbacks: list[Callback] = [ProgressBar(), best, MetricsLogger(out, lambda: best.progress)]
    averaged = (recipe.train.average_checkpoints, recipe.train.average_of)
    if averaged != (1, "best"):  # that one BestCheckpoint writes
        callbacks.append(
            CheckpointAverager(out, datamodule, lambda model, found: card(model, best.progress, found))
        )
    # Last those that save the state of the others, and measure their time.
    return [*callbacks, ResumeCheckpoint(best), TimeProfiler()]


def _load_saved(out: Path, recipe: Recipe, seed: int) -> SavedRun:
    """The last checkpoint of the run to resume. Raises ConfigError if that run has another model, optimizer or seed."""
    saved = load_run(out, "asrattn train")
    with damaged_configuration(saved.path):
        same = upgrade(ModelConfig, saved.about["recipe"]["model"]) == to_plain(recipe.model)
        changed = _changed(saved.about["recipe"]["train"], recipe)
    if not same:
        raise ConfigError(
            f"{saved.path}: belongs to another model than that of the recipe {recipe.name!r}; name another folder"
        )
    if changed:
        name, before, now = changed
        raise ConfigError(
            f"{saved.path}: was run with {name}={before}, and now it is {now}; a resumed run keeps it: "
            f"--set {name}={before}, or name another folder"
        )
    check_seed(saved, seed)
    return saved


def _saved_tokenizer(saved: SavedRun) -> Tokenizer:
    with damaged_configuration(saved.path):
        return text.from_plain(saved.about.get("tokenizer"))


def _changed(before: Mapping[str, JSONValue], recipe: Recipe) -> tuple[str, str, str] | None:
    """The first changed setting among those that the state of the optimizer depends on or restores."""
    default = to_plain(TrainConfig())
    assert isinstance(default, dict)
    for name in ("optimizer", "layer_decay", "freeze", "freeze_updates", "lora"):
        now = to_plain(getattr(recipe.train, name))
        earlier = before.get(name, default.get(name))  # a run older than the setting
        found = finetune.first_difference(earlier, now, f"train.{name}", ignored=("learning_rate",))
        if found:
            return found[0], finetune.format_value(found[1]), finetune.format_value(found[2])
    return None


def _describe(recipe: Recipe, model: SpeechModel, datamodule: SpeechDataModule, out: Path) -> None:
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
        len(datamodule.epoch_plan(0)),
        100 * datamodule.padding_ratio(),
    )


def _result(
    model: SpeechModel, progress: RunProgress, found: Validation, processes: int
) -> dict[str, JSONValue]:
    """Result and cost of a run; rates in percent."""
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
