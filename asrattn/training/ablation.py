"""Variants of a recipe under one budget: each trained with several seeds, judged on one manifest, and looked into."""

import json
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from asrattn import files, manifest
from asrattn.config import override
from asrattn.doctor import Looks
from asrattn.errors import ConfigError
from asrattn.manifest import Utterance
from asrattn.recognizer import Recognizer
from asrattn.scoring import hypotheses
from asrattn.scoring.hypotheses import HypothesisLine
from asrattn.scoring.pictures import Picture, png
from asrattn.segments import waves
from asrattn.training import storage
from asrattn.training.crew import Follower, hold
from asrattn.training.fit import fit
from asrattn.training.recipe import Recipe
from asrattn.training.run_folder import LAST
from asrattn.training.variants import Ablation, Variant
from asrattn.transcript import Outcome, Transcript

log = logging.getLogger(__name__)

HEARD, ALONE, RESULT, PICTURE = "hypotheses.jsonl", "alone.jsonl", "result.json", "attention.png"
EXAMINED = 24  # utterances in which attention is measured


class Run(NamedTuple):
    """One variant with one seed, and its folder."""

    variant: Variant
    seed: int
    folder: Path


def runs(what: Ablation) -> Iterator[Run]:
    """All of them, the first seed of every variant before the second."""
    for seed in range(what.seeds):
        for variant in what.variants:
            yield Run(variant, seed, what.out / _slug(variant.name) / f"seed-{seed}")


def work(what: Ablation, worker: int = 0) -> None:
    """Train and judge what nobody has begun yet. Raises StoppedError when it is told to stop."""
    for run in runs(what):
        held = hold(run.folder)
        if held is None:
            continue  # somebody else is at it
        try:
            if not (run.folder / RESULT).is_file():
                _do(what, run)
        finally:
            os.close(held)


def _do(what: Ablation, run: Run) -> None:
    recipe = override(what.recipe, run.variant.settings)
    log.info("%s, seed %d", run.variant.name, run.seed)
    try:
        model = fit(
            recipe,
            what.data,
            run.folder,
            resume=(run.folder / LAST).is_file(),
            seed=run.seed,
            accelerator=what.accelerator,
            callbacks=(Follower(),),
        )
    except ConfigError as error:
        raise ConfigError(f"{run.variant.name}: {error}") from None
    _judge(Recognizer.load(model), manifest.read(what.judged), recipe, run.folder)
    storage.discard(run.folder)


def _judge(recognizer: Recognizer, utterances: list[Utterance], recipe: Recipe, folder: Path) -> None:
    """Hypotheses, what attention does, a picture of it; the result last, since it says that all is there.

    Where the search has CTC beside it, there are hypotheses of attention alone too: with its help a decoder can be
    nearly deaf and nobody notices.
    """
    heard = recognizer.evaluate(utterances)
    _write(folder / HEARD, heard.outcomes)
    if recognizer.search.ctc:
        alone = replace(recognizer.search, beam=1, ctc=0.0)
        _write(folder / ALONE, recognizer.transcribe(utterances, alone))
    looks = look(recognizer, utterances[:: max(1, len(utterances) // EXAMINED)], recipe.loss.ctc > 0)
    drawn = draw(recognizer, middle(utterances))
    if drawn:
        (folder / PICTURE).write_bytes(drawn)
    card = recognizer.card
    names = ("parameters", "epochs", "wall_seconds", "cpu_seconds", "commit", "hardware", "dev_wer")
    told = {name: card.get(name) for name in names}
    plain: dict[str, Any] = {
        **told,
        "decoding_cpu_seconds": heard.cpu_seconds,
        "audio_seconds": heard.audio_seconds,
    }
    plain["looks"] = looks.known()
    files.write_text(folder / RESULT, json.dumps(plain, indent=2) + "\n")


def _write(path: Path, outcomes: Iterable[Outcome]) -> None:
    hypotheses.write(path, [HypothesisLine(o.id, o.text) for o in outcomes if isinstance(o, Transcript)])


def look(recognizer: Recognizer, utterances: Sequence[Utterance], aligned: bool) -> Looks:
    """What attention does while it reads these utterances with their own texts."""
    heard = [next(waves(u, recognizer.rate)) for u in utterances]
    return recognizer.examine(heard, [recognizer.tokenizer.encode_lossy(u.text) for u in utterances], aligned)


def draw(recognizer: Recognizer, utterance: Utterance) -> bytes | None:
    wave = next(waves(utterance, recognizer.rate))
    features, weights, pieces, _ = recognizer.explain(wave, recognizer.tokenizer.encode_lossy(utterance.text))
    return png(Picture(len(wave) / recognizer.rate, features, weights, pieces))


def middle(utterances: Sequence[Utterance]) -> Utterance:
    """The one of middle length."""
    return sorted(utterances, key=lambda u: (u.seconds, u.id))[len(utterances) // 2]


def results(what: Ablation) -> dict[Variant, list[tuple[Run, dict[str, Any]]]]:
    """The runs that are done, by variant, in the order of the seeds."""
    found: dict[Variant, list[tuple[Run, dict[str, Any]]]] = {variant: [] for variant in what.variants}
    for run in runs(what):
        path = run.folder / RESULT
        if path.is_file():
            found[run.variant].append((run, json.loads(path.read_text(encoding="utf-8"))))
    return found


def _slug(name: str) -> str:
    return "".join(c if c.isalnum() or c in "+-.=" else "_" for c in name)
