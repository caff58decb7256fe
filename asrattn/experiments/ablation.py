"""Ablation: variants of a recipe under one budget, each trained with several seeds and evaluated on one manifest."""

import json
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from asrattn import files
from asrattn.attention_metrics import AttentionMetrics
from asrattn.config import override
from asrattn.data import manifest
from asrattn.data.manifest import Utterance
from asrattn.errors import ConfigError
from asrattn.experiments.variants import Ablation, Variant, prepare_out_dir
from asrattn.experiments.workers import StopWhenOrphaned, run_workers, try_lock_folder
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

HYPOTHESES_FILE = "hypotheses.jsonl"
ATTENTION_ONLY_FILE = "alone.jsonl"
RESULT_FILE = "result.json"
ATTENTION_IMAGE_FILE = "attention.png"
MAX_ATTENTION_UTTERANCES = 24  # whose attention metrics are computed


class AblationRun(NamedTuple):
    """One variant with one seed, and its folder."""

    variant: Variant
    seed: int
    folder: Path


def runs(spec: Ablation) -> Iterator[AblationRun]:
    """All runs, the first seed of every variant before the second."""
    for seed in range(spec.seeds):
        for variant in spec.variants:
            yield AblationRun(variant, seed, spec.out / _slug(variant.name) / f"seed-{seed}")


def ablate(spec: Ablation, jobs: int, threads: int | None) -> None:
    """Train and evaluate all variants in `jobs` processes, see `run_workers`; finished runs are kept.

    In `spec.out` there is afterwards a folder for each run; `ablation_report.write_report` reads them.

    Raises ConfigError for a variant that cannot be built, DataError if a process failed, StoppedError on Ctrl-C.
    """
    prepare_out_dir(spec)
    with tqdm(total=len(list(runs(spec))), unit=" runs", disable=None, leave=False) as bar:

        def update_bar() -> None:
            bar.n = sum(len(done) for done in load_results(spec).values())
            bar.refresh()

        run_workers(partial(run_pending, spec), jobs, threads, spec.out, update_bar)


def run_pending(spec: Ablation, worker: int = 0) -> None:
    """Train and evaluate every run that no other process has started. Raises StoppedError on a stop signal."""
    for run in runs(spec):
        lock = try_lock_folder(run.folder)
        if lock is None:
            continue  # another process runs it
        try:
            if not (run.folder / RESULT_FILE).is_file():
                _train_and_evaluate(spec, run)
        finally:
            os.close(lock)


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
            init=spec.init,
            callbacks=(StopWhenOrphaned(),),
        )
    except ConfigError as error:
        raise ConfigError(f"{run.variant.name}: {error}") from None
    _evaluate(Recognizer.load(model), manifest.read(spec.eval_manifest), recipe, run.folder)
    checkpointing.delete_checkpoints(run.folder)


def _evaluate(recognizer: Recognizer, utterances: list[Utterance], recipe: Recipe, folder: Path) -> None:
    """Write hypotheses, attention plot and attention metrics; result.json last: it marks a finished run.

    If decoding uses CTC, there are hypotheses of attention alone too: CTC can hide a decoder that has learnt little.
    """
    evaluation = recognizer.evaluate(utterances)
    _write(folder / HYPOTHESES_FILE, evaluation.outcomes)
    if recognizer.decoding.ctc:
        attention_only = replace(recognizer.decoding, beam_size=1, ctc=0.0)
        _write(folder / ATTENTION_ONLY_FILE, recognizer.transcribe(utterances, attention_only))
    measured = measure_attention(
        recognizer, utterances[:: max(1, len(utterances) // MAX_ATTENTION_UTTERANCES)], recipe.loss.ctc > 0
    )
    png = plot_attention(recognizer, median_utterance(utterances))
    if png:
        (folder / ATTENTION_IMAGE_FILE).write_bytes(png)
    names = ("parameters", "epochs", "wall_seconds", "cpu_seconds", "commit", "hardware", "dev_wer")
    plain: dict[str, Any] = {name: recognizer.card.get(name) for name in names}
    plain["decoding_cpu_seconds"] = evaluation.cpu_seconds
    plain["audio_seconds"] = evaluation.audio_seconds
    plain["looks"] = measured.to_dict()
    files.write_text(folder / RESULT_FILE, json.dumps(plain, indent=2) + "\n")


def _write(path: Path, outcomes: Iterable[Outcome]) -> None:
    hypothesis_file.write(path, [HypothesisLine(o.id, o.text) for o in outcomes if isinstance(o, Transcript)])


def measure_attention(
    recognizer: Recognizer, utterances: Sequence[Utterance], aligned: bool
) -> AttentionMetrics:
    """Attention metrics of these utterances with their references as decoder input (teacher forcing)."""
    waves = [next(read_waves(u, recognizer.rate)) for u in utterances]
    return recognizer.measure_attention(
        waves, [recognizer.tokenizer.encode_lossy(u.text) for u in utterances], aligned
    )


def plot_attention(recognizer: Recognizer, utterance: Utterance) -> bytes | None:
    wave = next(read_waves(utterance, recognizer.rate))
    tokens = recognizer.tokenizer.encode_lossy(utterance.text)
    found = recognizer.compute_attention(wave, tokens)
    return render_png(UtterancePlot(len(wave) / recognizer.rate, found.features, found.weights, found.pieces))


def median_utterance(utterances: Sequence[Utterance]) -> Utterance:
    """The utterance of median length."""
    return sorted(utterances, key=lambda u: (u.seconds, u.id))[len(utterances) // 2]


def load_results(spec: Ablation) -> dict[Variant, list[tuple[AblationRun, dict[str, Any]]]]:
    """The finished runs, by variant, in the order of the seeds."""
    results: dict[Variant, list[tuple[AblationRun, dict[str, Any]]]] = {
        variant: [] for variant in spec.variants
    }
    for run in runs(spec):
        path = run.folder / RESULT_FILE
        if path.is_file():
            results[run.variant].append((run, json.loads(path.read_text(encoding="utf-8"))))
    return results


def _slug(name: str) -> str:
    return "".join(c if c.isalnum() or c in "+-.=" else "_" for c in name)
