"""Search space and budget of a hyper-parameter sweep, as written on the command line."""

import re
from dataclasses import dataclass

from asrattn.config import override
from asrattn.errors import ConfigError
from asrattn.training.recipe import Recipe

_UNITS = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True)
class Range:
    """Numbers from low to high, inclusive; integers only (`whole`), or uniform in their logarithms (`log`)."""

    name: str
    low: float
    high: float
    whole: bool
    log: bool


@dataclass(frozen=True)
class Choice:
    """One of several values, in the syntax of --set."""

    name: str
    values: tuple[str, ...]


Axis = Range | Choice


@dataclass(frozen=True)
class Budget:
    """A number of trials in all, or of seconds from now."""

    trials: int | None = None
    seconds: float | None = None

    @classmethod
    def parse(cls, text: str) -> "Budget":
        """`20` trials, or `90m`, `2h`. Raises ConfigError."""
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
        amount = float(found[1]) if found else 0.0
        if not found or amount <= 0 or (not found[2] and amount != int(amount)):
            raise ConfigError(
                f"--budget {text}: write a number of trials, such as 20, or a time, such as 90m or 2h"
            )
        return cls(seconds=amount * _UNITS[found[2]]) if found[2] else cls(trials=int(amount))


def parse_axis(text: str, recipe: Recipe) -> Axis:
    """`NAME=LOW..HIGH`, `NAME=LOW..HIGH:log` or `NAME=A,B,C`, where NAME is a setting of the recipe as in --set.

    A range is of integers if the setting is one. Raises ConfigError for values that the recipe does not accept.
    """
    name, equals, values = (part.strip() for part in text.partition("="))
    if not (name and equals and values):
        raise ConfigError(f"--space {text}: write NAME=LOW..HIGH, NAME=LOW..HIGH:log or NAME=A,B,C")
    if ".." not in values:
        return _choice(name, values, text, recipe)
    ends, _, scale = values.partition(":")
    try:
        low, high = (float(end) for end in ends.split(".."))
    except ValueError:
        raise ConfigError(f"--space {text}: {ends} are not two numbers, LOW..HIGH") from None
    if not low < high or scale not in ("", "log") or (scale and low <= 0):
        raise ConfigError(f"--space {text}: LOW must lie below HIGH, and above 0 with :log")
    whole = _is_integer(name, low, recipe)
    axis = Range(name, low, high, whole, bool(scale))
    for end in (low, high):
        override(recipe, [format_setting(axis, end)])
    return axis


def format_setting(axis: Axis, value: float | str) -> str:
    """The setting in the syntax of --set; numbers with four digits."""
    if isinstance(axis, Choice):
        return f"{axis.name}={value}"
    return f"{axis.name}={round(float(value))}" if axis.whole else f"{axis.name}={float(value):.4g}"


def _choice(name: str, values: str, text: str, recipe: Recipe) -> Choice:
    found = tuple(value.strip() for value in values.split(","))
    if len(set(found)) != len(found) or len(found) < 2:
        raise ConfigError(f"--space {text}: give at least two different values, A,B")
    for value in found:
        override(recipe, [f"{name}={value}"])
    return Choice(name, found)


def _is_integer(name: str, value: float, recipe: Recipe) -> bool:
    """Whether the setting accepts integers only."""
    if value != int(value):
        return False
    try:
        override(recipe, [f"{name}={int(value)}"])
    except ConfigError:
        return False  # `parse_axis` reports it
    try:
        override(recipe, [f"{name}={value + 1e-9!r}"])
    except ConfigError:
        return True
    return False
