"""What an ablation compares: variants of a recipe, as they are written on the command line. Needs no torch."""

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
    """What is changed, as --set takes it, and how it was asked for."""

    name: str
    settings: tuple[str, ...]


@dataclass(frozen=True)
class Ablation:
    """All variants of a recipe, each with seeds 0 … seeds - 1; `eval_manifest` is the manifest they are decoded on."""

    recipe: Recipe
    variants: tuple[Variant, ...]
    seeds: int
    data: Path
    eval_manifest: Path
    out: Path
    accelerator: str = "auto"


def parse_variants(texts: Sequence[str], recipe: Recipe) -> tuple[Variant, ...]:
    """`decoder.attention=dot,location+heads=4`: one setting's values, a kind where it is a set of settings, to which +
    adds others below it, lists in brackets: encoder=lstm,conformer+downsampling=[1,2,1]. Of several
    texts, every combination.

    Raises ConfigError for what the recipe does not take.
    """
    each = [_parse_axis(text, recipe) for text in texts]
    found = []
    for combination in itertools.product(*each):
        name = " ".join(variant.name for variant in combination)
        found.append(Variant(name, tuple(s for variant in combination for s in variant.settings)))
    check(len(found) > 1, "--vary: give at least two variants, as in decoder.attention=dot,additive")
    check(len({v.name for v in found}) == len(found), "--vary: the same variant is there twice")
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
    """The setting's whole name and its value: `decoder.attention` may be written for model.decoder.attention."""
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
    """Make the folder, or go on in it. Raises ConfigError where it holds the ablation of another recipe."""
    path = spec.out / "ablation.json"
    plain = {"recipe": to_plain(spec.recipe), "judged": str(spec.eval_manifest), "data": str(spec.data)}
    stored = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else plain
    if stored | {"recipe": upgrade(Recipe, stored["recipe"])} != plain:
        raise ConfigError(f"{spec.out}: holds an ablation of another recipe or corpus; name another folder")
    files.make_folder(spec.out)
    files.write_text(path, json.dumps(plain, indent=2) + "\n")
