"""Recipe writer: a recipe as the source code of a Python file."""

import dataclasses
import json
import sys
from collections import defaultdict
from typing import Any

from asrattn.training.recipe import Recipe

_MAX_LINE_LENGTH = 100


def format_recipe(recipe: Recipe, title: str) -> str:
    """The source of a file whose RECIPE equals this one; settings with default values are left out."""
    classes: set[type] = set()
    body = _format_value(recipe, 0, classes)
    homes: dict[str, list[str]] = defaultdict(list)
    for each in sorted(classes, key=lambda c: c.__name__):
        homes[_import_path(each)].append(each.__name__)
    lines = [f"from {home} import {', '.join(homes[home])}" for home in sorted(homes)]
    return "\n".join([f'"""{title}"""', "", *lines, "", f"RECIPE = {body}", ""])


def _format_value(value: Any, depth: int, classes: set[type]) -> str:
    if not dataclasses.is_dataclass(value):
        return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
    classes.add(type(value))
    name = type(value).__name__
    fields = [f for f in dataclasses.fields(value) if f.init and getattr(value, f.name) != _default(f)]
    given = [f"{f.name}={_format_value(getattr(value, f.name), depth + 1, classes)}" for f in fields]
    line = f"{name}({', '.join(given)})"
    if "\n" not in line and 4 * depth + len(line) <= _MAX_LINE_LENGTH and depth:
        return line
    inner = "    " * (depth + 1)
    return "\n".join([f"{name}(", *(f"{inner}{each}," for each in given), f"{'    ' * depth})"])


def _default(field: "dataclasses.Field[Any]") -> object:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _import_path(kind: type) -> str:
    """The package that exports a class, else the module of the class."""
    package = kind.__module__.rpartition(".")[0]
    return package if getattr(sys.modules.get(package), kind.__name__, None) is kind else kind.__module__
