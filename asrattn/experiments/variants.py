"""Variants of an ablation: settings of a recipe, as written on the command line. Needs no torch."""

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asrattn import files
from asrattn.config import check, override, to_plain, upgrade
from asrattn.errors import ConfigError
from asrattn.training.recipe import Recipe


@dataclass(frozen=True)
class Variant:
    """The changed settings, in the syntax of --set, and the name from the command line."""

    name: str
    settings: tuple[str, ...]


@dataclass(frozen=True)
class Ablation:
    """Variants of a recipe, each with seeds 0 … seeds - 1; they are evaluated on `eval_manifest`. init: the model file
    that every run begins from."""

    recipe: Recipe
    variants: tuple[Variant, ...]
    seeds: int
    data: Path
    eval_manifest: Path
    out: Path
    accelerator: str = "auto"
    init: Path | None = None


def parse_variants(texts: Sequence[str], recipe: Recipe) -> tuple[Variant, ...]:
    """Parse `decoder.attention=dot,location+heads=4`: the values of one setting. If it is a group of settings, the
    values are its kinds, and + adds settings of the group; lists are in brackets: encoder=lstm,conformer+downsampling=
    [1,2,1]. Several texts give every combination.

    Raises ConfigError for values that the recipe does not accept.
    """
    each = [_parse_axis(text, recipe) for text in texts]
    found = []
    for combination in itertools.product(*each):
        name = " ".join(variant.name for variant in combination)
        found.append(Variant(name, tuple(s for variant in combination for s in variant.settings)))
    check(len(found) > 1, "--vary: give at least two variants, as in decoder.attention=dot,additive")
    check(len({v.name for v in found}) == len(found), "--vary: the same variant is given twice")
    for variant in found:
        override(recipe, variant.settings)
    return tuple(found)


def _parse_axis(text: str, recipe: Recipe) -> list[Variant]:
    path, equals, values = (part.strip() for part in text.partition("="))
    check(bool(path and equals and values), f"--vary {text}: write it as NAME=A,B,C")
    place, value = _find(path, to_plain(recipe))
    found = []
    for name in (each.strip() for each in re.split(r",(?![^\[]*\])", values)):  # none within [1,2]
        first, *more = name.split("+")
        below = f"{place}.kind" if isinstance(value, Mapping) else place
        found.append(Variant(name, (f"{below}={first}", *(f"{place}.{each}" for each in more))))
    return found


def _find(path: str, plain: Any) -> tuple[str, Any]:
    """The full name of a setting and its value: `decoder.attention` is short for model.decoder.attention."""
    for whole in (path, f"model.{path}"):
        value = plain
        for name in whole.split("."):
            value = value.get(name, KeyError) if isinstance(value, Mapping) else KeyError
        if value is not KeyError:
            return whole, value
    raise ConfigError(
        f"--vary {path}: the recipe has no such setting; name one as in --set, such as decoder.attention"
    )


def prepare_out_dir(spec: Ablation) -> None:
    """Make the folder, or resume in it. Raises ConfigError if it holds the ablation of another recipe."""
    path = spec.out / "ablation.json"
    plain = {"recipe": to_plain(spec.recipe), "judged": str(spec.eval_manifest), "data": str(spec.data)}
    if spec.init:
        plain["init"] = str(spec.init)
    if path.is_file() and not is_same_experiment(path.read_text(encoding="utf-8"), plain):
        raise ConfigError(f"{spec.out}: holds an ablation of another recipe or corpus; name another folder")
    files.make_folder(spec.out)
    files.write_text(path, json.dumps(plain, indent=2) + "\n")


def is_same_experiment(stored: str, plain: Mapping[str, Any]) -> bool:
    """Whether the JSON in an experiment's folder is this one; its recipe may be written under deprecated names."""
    try:
        found = json.loads(stored)
        return bool({**found, "recipe": upgrade(Recipe, found["recipe"])} == plain)
    except (ConfigError, KeyError, TypeError, ValueError):
        return False
