"""Variants of a recipe under one budget: each trained with several seeds, judged on one manifest, and looked into."""

import itertools
import json
import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from asrattn import files, manifest
from asrattn.config import check, override, to_plain
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
from asrattn.training.storage import LAST
from asrattn.transcript import Outcome, Transcript

log = logging.getLogger(__name__)

HEARD, ALONE, RESULT, PICTURE = "hypotheses.jsonl", "alone.jsonl", "result.json", "attention.png"
EXAMINED = 24  # utterances in which attention is measured


@dataclass(frozen=True)
class Variant:
    """What is changed, as --set takes it, and how it was asked for."""

    name: str
    settings: tuple[str, ...]


@dataclass(frozen=True)
class Ablation:
    """All variants of a recipe, each with seeds 0 … seeds - 1; `judged` is the manifest they are decoded on."""

    recipe: Recipe
    variants: tuple[Variant, ...]
    seeds: int
    data: Path
    judged: Path
    out: Path
    accelerator: str = "auto"


class Run(NamedTuple):
    """One variant with one seed, and its folder."""

    variant: Variant
    seed: int
    folder: Path


def variants(texts: Sequence[str], recipe: Recipe) -> tuple[Variant, ...]:
    """`decoder.attention=dot,location+heads=4`: one setting's values, a kind where it is a set of settings, to which +
    adds others below it, lists in brackets: encoder=lstm,conformer+rates=[1,2,1]. Of several texts, every combination.

    Raises ConfigError for what the recipe does not take.
    """
    each = [_axis(text, recipe) for text in texts]
    found = []
    for combination in itertools.product(*each):
        name = " ".join(variant.name for variant in combination)
        found.append(Variant(name, tuple(s for variant in combination for s in variant.settings)))
    check(len(found) > 1, "--over: give at least two variants, as in decoder.attention=dot,additive")
    check(len({v.name for v in found}) == len(found), "--over: the same variant is there twice")
    for variant in found:
        override(recipe, variant.settings)
    return tuple(found)


def _axis(text: str, recipe: Recipe) -> list[Variant]:
    path, equals, values = (part.strip() for part in text.partition("="))
    check(bool(path and equals and values), f"--over {text}: write it as NAME=A,B,C")
    place, value = _find(path, to_plain(recipe))
    found = []
    for name in (each.strip() for each in re.split(r",(?![^\[]*\])", values)):  # none within [1,2]
        first, *more = name.split("+")
        below = f"{place}.kind" if isinstance(value, Mapping) else place
        found.append(Variant(name, (f"{below}={first}", *(f"{place}.{each}" for each in more))))
    return found


def _find(path: str, plain: Any) -> tuple[str, Any]:
    """The setting's whole name and its value: `decoder.attention` may be written for model.decoder.attention."""
    for whole in (path, f"model.{path}"):
        value = plain
        for name in whole.split("."):
            value = value.get(name, KeyError) if isinstance(value, Mapping) else KeyError
        if value is not KeyError:
            return whole, value
    raise ConfigError(
        f"--over {path}: the recipe has no such setting; name one as in --set, such as decoder.attention"
    )


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


def claim(what: Ablation) -> None:
    """Make the folder, or go on in it. Raises ConfigError where it holds the ablation of another recipe."""
    path = what.out / "ablation.json"
    plain = {"recipe": to_plain(what.recipe), "judged": str(what.judged), "data": str(what.data)}
    text = json.dumps(plain, indent=2) + "\n"
    if path.is_file() and path.read_text(encoding="utf-8") != text:
        raise ConfigError(f"{what.out}: holds an ablation of another recipe or corpus; name another folder")
    what.out.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _slug(name: str) -> str:
    return "".join(c if c.isalnum() or c in "+-.=" else "_" for c in name)
