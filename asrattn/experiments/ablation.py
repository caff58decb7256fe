"""Variants of a recipe under one budget: each trained with several seeds, judged on one manifest, and looked into."""

import json
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from asrattn import files
from asrattn.attention_metrics import AttentionMetrics
from asrattn.config import override
from asrattn.data import manifest
from asrattn.data.manifest import Utterance
from asrattn.errors import ConfigError
from asrattn.experiments.variants import Ablation, Variant
from asrattn.experiments.workers import StopWhenOrphaned, try_lock_folder
from asrattn.inference.recognizer import Recognizer
from asrattn.inference.segmentation import read_waves
from asrattn.inference.transcript import Outcome, Transcript
from asrattn.metrics import hypothesis_file
from asrattn.metrics.hypothesis_file import HypothesisLine
from asrattn.report.plots import UtterancePlot, render_png
from asrattn.training import checkpointing
from asrattn.training.fit import fit
from asrattn.training.recipe import Recipe
from asrattn.training.run_folder import LAST_CHECKPOINT

log = logging.getLogger(__name__)

HYPOTHESES_FILE, ATTENTION_ONLY_FILE, RESULT_FILE, ATTENTION_IMAGE_FILE = (
    "hypotheses.jsonl",
    "alone.jsonl",
    "result.json",
    "attention.png",
)
MAX_ATTENTION_UTTERANCES = 24  # utterances in which attention is measured


class AblationRun(NamedTuple):
    """One variant with one seed, and its folder."""

    variant: Variant
    seed: int
    folder: Path


def runs(spec: Ablation) -> Iterator[AblationRun]:
    """All of them, the first seed of every variant before the second."""
    for seed in range(spec.seeds):
        for variant in spec.variants:
            yield AblationRun(variant, seed, spec.out / _slug(variant.name) / f"seed-{seed}")


def run_pending(spec: Ablation, worker: int = 0) -> None:
    """Train and judge what nobody has begun yet. Raises StoppedError when it is told to stop."""
    for run in runs(spec):
        held = try_lock_folder(run.folder)
        if held is None:
            continue  # somebody else is at it
        try:
            if not (run.folder / RESULT_FILE).is_file():
                _train_and_evaluate(spec, run)
        finally:
            os.close(held)


def _train_and_evaluate(spec: Ablation, run: AblationRun) -> None:
    recipe = override(spec.recipe, run.variant.settings)
    log.info("%s, seed %d", run.variant.name, run.seed)
    try:
        model = fit(
            recipe,
            spec.data,
            run.folder,
            resume=(run.folder / LAST_CHECKPOINT).is_file(),
            seed=run.seed,
            accelerator=spec.accelerator,
            callbacks=(StopWhenOrphaned(),),
        )
    except ConfigError as error:
        raise ConfigError(f"{run.variant.name}: {error}") from None
    _evaluate(Recognizer.load(model), manifest.read(spec.eval_manifest), recipe, run.folder)
    checkpointing.delete_checkpoints(run.folder)


def _evaluate(recognizer: Recognizer, utterances: list[Utterance], recipe: Recipe, folder: Path) -> None:
    """Hypotheses, what attention does, a picture of it; the result last, since it says that all is there.

    Where the search has CTC beside it, there are hypotheses of attention alone too: with its help a decoder can be
    nearly deaf and nobody notices.
    """
    heard = recognizer.evaluate(utterances)
    _write(folder / HYPOTHESES_FILE, heard.outcomes)
    if recognizer.decoding.ctc:
        alone = replace(recognizer.decoding, beam_size=1, ctc=0.0)
        _write(folder / ATTENTION_ONLY_FILE, recognizer.transcribe(utterances, alone))
    looks = measure_attention(
        recognizer, utterances[:: max(1, len(utterances) // MAX_ATTENTION_UTTERANCES)], recipe.loss.ctc > 0
    )
    drawn = plot_attention(recognizer, median_utterance(utterances))
    if drawn:
        (folder / ATTENTION_IMAGE_FILE).write_bytes(drawn)
    card = recognizer.card
    names = ("parameters", "epochs", "wall_seconds", "cpu_seconds", "commit", "hardware", "dev_wer")
    told = {name: card.get(name) for name in names}
    plain: dict[str, Any] = {
        **told,
        "decoding_cpu_seconds": heard.cpu_seconds,
        "audio_seconds": heard.audio_seconds,
    }
    plain["looks"] = looks.to_dict()
    files.write_text(folder / RESULT_FILE, json.dumps(plain, indent=2) + "\n")


def _write(path: Path, outcomes: Iterable[Outcome]) -> None:
    hypothesis_file.write(path, [HypothesisLine(o.id, o.text) for o in outcomes if isinstance(o, Transcript)])


def measure_attention(
    recognizer: Recognizer, utterances: Sequence[Utterance], aligned: bool
) -> AttentionMetrics:
    """What attention does while it reads these utterances with their own texts."""
    heard = [next(read_waves(u, recognizer.rate)) for u in utterances]
    return recognizer.measure_attention(
        heard, [recognizer.tokenizer.encode_lossy(u.text) for u in utterances], aligned
    )


def plot_attention(recognizer: Recognizer, utterance: Utterance) -> bytes | None:
    wave = next(read_waves(utterance, recognizer.rate))
    features, weights, pieces, _ = recognizer.compute_attention(
        wave, recognizer.tokenizer.encode_lossy(utterance.text)
    )
    return render_png(UtterancePlot(len(wave) / recognizer.rate, features, weights, pieces))


def median_utterance(utterances: Sequence[Utterance]) -> Utterance:
    """The one of middle length."""
    return sorted(utterances, key=lambda u: (u.seconds, u.id))[len(utterances) // 2]


def load_results(spec: Ablation) -> dict[Variant, list[tuple[AblationRun, dict[str, Any]]]]:
    """The runs that are done, by variant, in the order of the seeds."""
    found: dict[Variant, list[tuple[AblationRun, dict[str, Any]]]] = {
        variant: [] for variant in spec.variants
    }
    for run in runs(spec):
        path = run.folder / RESULT_FILE
        if path.is_file():
            found[run.variant].append((run, json.loads(path.read_text(encoding="utf-8"))))
    return found


def _slug(name: str) -> str:
    return "".join(c if c.isalnum() or c in "+-.=" else "_" for c in name)
