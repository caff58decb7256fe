"""`fit`: pre-train the encoder of a recipe by BEST-RQ on audio without transcripts, on one or many devices."""

import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from asrattn import provenance
from asrattn.config import JSONValue, to_plain, upgrade
from asrattn.model import LossConfig
from asrattn.model.speech_model import SpeechModel
from asrattn.model_file import damaged_configuration
from asrattn.text import CharTokenizer
from asrattn.training import distributed, trainer
from asrattn.training.data import corpus as corpora
from asrattn.training.data import folder as data_folder
from asrattn.training.data.datamodule import SpeechDataModule
from asrattn.training.data.sampler import derive_seed
from asrattn.training.precision import resolve_precision
from asrattn.training.pretrain.callback import PretrainCallback
from asrattn.training.pretrain.module import PretrainLightningModule
from asrattn.training.pretrain.network import BestRQ
from asrattn.training.pretrain.recipe import PretrainRecipe
from asrattn.training.recipe import Precision
from asrattn.training.resume import SavedRun, check_same, check_seed, load_run, note_changes
from asrattn.training.run_folder import MODEL_FILE

log = logging.getLogger(__name__)

# A model file has a tokenizer; fine-tuning extends this one by the characters of its transcripts.
TOKENIZER = CharTokenizer(" 'abcdefghijklmnopqrstuvwxyz")


def fit(
    recipe: PretrainRecipe,
    data: Path,
    out: Path,
    devices: int = 1,
    nodes: int = 1,
    precision: Precision | None = None,
    resume: bool = False,
    seed: int = 0,
    accelerator: str = "auto",
    command: Sequence[str] = (),
) -> Path:
    """Pre-train on data/train.jsonl, validate on data/dev.jsonl; the path of the model file, out/model.safetensors,
    to fine-tune. Texts are ignored.

    `out` also holds last.ckpt (to resume), metrics.csv, recipe.json and dropped.tsv. The same seed, devices and machine
    give the same losses, also for a resumed run. command: the command line, for the card.

    Raises ConfigError if `out` holds a run and `resume` is not set, or a run of another recipe or seed; DataError for a
    corpus without usable utterances and for a non-finite loss; CheckpointError for a file that cannot be read or
    written; StoppedError on Ctrl-C; PeerFailureError if another process of the run is gone.
    """
    settled = resolve_precision(recipe.train.precision, precision, accelerator)
    recipe = replace(recipe, train=replace(recipe.train, precision=settled))
    with trainer.own_folder(out, resume):
        saved = _load_saved(out, recipe, seed) if resume else None
        module, datamodule = _prepare(recipe, data, seed, fresh=not resume)
        known: dict[str, JSONValue] = {}
        if distributed.is_rank_zero():
            corpora.report_dropped(datamodule.corpus, out / "dropped.tsv")
            _describe(recipe, module.network, out)
            known = _base_card(recipe, data, seed, command)
            known["hours"] = round(float(datamodule.seconds.sum(dtype=float)) / 3600, 3)
        module.origin = note_changes(saved, recipe, "pretrain_recipe", known.get("data"))
        strategy = distributed.build_strategy("ddp", devices * nodes, LossConfig())
        callbacks = [PretrainCallback(out, TOKENIZER, known)]
        built = trainer.build(callbacks, devices, accelerator, settled, recipe.train.epochs, strategy, nodes)
        trainer.run(built, module, datamodule, saved.path if saved else None)
    return out / MODEL_FILE


def _prepare(
    recipe: PretrainRecipe, data: Path, seed: int, fresh: bool
) -> tuple[PretrainLightningModule, SpeechDataModule]:
    """The network and the corpus. fresh: the feature mean and deviation are not known yet."""
    rate = recipe.model.frontend.rate
    corpus = corpora.load(data, recipe.data, rate, TOKENIZER, transcribed=False)
    torch.manual_seed(derive_seed("model", seed))
    speech = SpeechModel(replace(recipe.model, vocabulary=TOKENIZER.size))
    corpus = corpora.filter_by_length(corpus, speech, 1.0)
    datamodule = SpeechDataModule(corpus, recipe.data, rate, 0.0, seed)
    if fresh:
        speech.frontend.fit(datamodule.normalization_batches())
    return PretrainLightningModule(recipe, BestRQ(speech, recipe.bestrq, seed), seed), datamodule


def _load_saved(out: Path, recipe: PretrainRecipe, seed: int) -> SavedRun:
    saved = load_run(out, "asrattn pretrain", "pretrain_recipe")
    with damaged_configuration(saved.path):
        same = upgrade(PretrainRecipe, saved.about["pretrain_recipe"]) == to_plain(recipe)
    check_same(saved, recipe=same)
    check_seed(saved, seed)
    return saved


def _describe(recipe: PretrainRecipe, network: BestRQ, out: Path) -> None:
    plain = json.dumps(to_plain(recipe), indent=2, ensure_ascii=False)
    (out / "recipe.json").write_text(plain + "\n", encoding="utf-8")
    trained = sum(p.numel() for p in network.parameters() if p.requires_grad)
    log.info(
        "%s: %.2f M parameters are trained (encoder and softmax head); codebooks: %d of %d codes; "
        "%d feature frames for an encoder frame",
        recipe.name,
        trained / 1e6,
        recipe.bestrq.codebooks,
        recipe.bestrq.codebook_size,
        network.factor,
    )


def _base_card(recipe: PretrainRecipe, data: Path, seed: int, command: Sequence[str]) -> dict[str, JSONValue]:
    """The part of the card known at the start; collected now, since the files may change during the run."""
    return {
        "name": recipe.name,
        "untrained": ["decoder", "ctc"],
        "seed": seed,
        "commit": provenance.git_commit(),
        "recipe": to_plain(recipe),
        "data": data_folder.fingerprints(data),
        "command": list(command),
        "versions": provenance.versions(),
    }
