"""Frozen dataclasses <-> plain values, strictly: unknown names, wrong types and wrong kinds are errors.

A field is a bool, int, float, str, Literal, tuple, dataclass, or a union of these. A union of dataclasses
is discriminated by a field `kind: Literal[...]`. Ranges are the dataclass's own business: it calls `check`.
"""

import dataclasses
import difflib
import json
import math
import types
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from asrattn import deprecated
from asrattn.errors import ConfigError

C = TypeVar("C")
JSONValue = None | bool | int | float | str | list["JSONValue"] | dict[str, "JSONValue"]

# The narrower type is tried first: 2 is a whole number in `int | float`. What is not named comes before str.
_BREADTH = {types.NoneType: 0, bool: 1, int: 2, float: 3, str: 5}
_NAMES = {
    types.NoneType: "none",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
}


def check(condition: bool, message: str) -> None:
    """Raise ConfigError(message) unless the condition holds; for the `__post_init__` of configurations."""
    if not condition:
        raise ConfigError(message)


def to_plain(value: object) -> JSONValue:
    """A dataclass (or a value inside one) as what JSON can hold. Raises ConfigError for anything else."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value) if f.init}
    if isinstance(value, tuple | list):
        return [to_plain(v) for v in value]
    if isinstance(value, float):
        check(math.isfinite(value), f"{value} cannot stand in a configuration; numbers are finite")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ConfigError(f"a {type(value).__name__} cannot stand in a configuration")


def from_plain(kind: type[C], plain: object, where: str = "") -> C:
    """The inverse of `to_plain`. Raises ConfigError with the place and, for a wrong name, what was meant."""
    value: C = _read(kind, plain, where)
    return value


def upgrade(kind: type, plain: object) -> JSONValue:
    """Plain values that may have been written under deprecated names, under the present ones. Raises ConfigError."""
    return to_plain(from_plain(kind, plain))


def override(value: C, settings: Sequence[str]) -> C:
    """`value` with settings such as `model.encoder.layers=2` applied in order, and checked when all are in.

    `name.kind=KIND` switches a union to that member. It keeps the fields that both have, and takes its own
    defaults for the rest. `none` empties an optional setting; a tuple is written `1,2,3`, or as a JSON list.
    """
    kind, plain = type(value), to_plain(value)
    for setting in settings:
        path, equals, text = setting.partition("=")
        check(bool(equals and path), f"--set {setting}: write it as name=value")
        plain = _set(kind, plain, path.strip().split("."), text.strip(), "")
    return from_plain(kind, plain)


# Plain values -> dataclasses


def _read(hint: Any, plain: Any, where: str) -> Any:
    """`plain` as a value of the type `hint`."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return _read_union(hint, plain, where)
    if origin is Literal:
        return _read_literal(get_args(hint), plain, where)
    if origin is tuple:
        return _read_tuple(hint, plain, where)
    if _is_group(hint):
        return _read_group(hint, plain, where)
    if hint is float:
        return _read_float(plain, where)
    if hint not in _NAMES:
        raise TypeError(f"{where}: a configuration cannot have a field of type {hint}")
    fits = isinstance(plain, hint) and (hint is bool or not isinstance(plain, bool))
    check(fits, f"{_at(where)}{plain!r} is not {_describe(hint)}")
    return plain


def _read_float(plain: Any, where: str) -> float:
    check(type(plain) is int or isinstance(plain, float), f"{_at(where)}{plain!r} is not a number")
    try:
        number = float(plain)
    except OverflowError:
        number = math.inf
    check(math.isfinite(number), f"{_at(where)}{number} is not finite")
    return number


def _read_union(hint: Any, plain: Any, where: str) -> Any:
    options = _options(hint)
    if plain is None and types.NoneType in options:
        return None
    groups, single = _groups(hint), [o for o in options if not _is_group(o) and o is not types.NoneType]
    if groups and (isinstance(plain, Mapping) or not single):
        return _read(_member(groups, plain, where), plain, where)
    if len(single) == 1 and not groups:
        return _read(single[0], plain, where)  # its own message is the better one
    for option in single:
        try:
            return _read(option, plain, where)
        except ConfigError:
            continue
    raise ConfigError(f"{_at(where)}{plain!r} is not {_describe(hint)}")


def _read_literal(allowed: tuple[Any, ...], plain: Any, where: str) -> Any:
    # by type as well: True == 1
    if not any(type(plain) is type(a) and plain == a for a in allowed):
        raise ConfigError(_unknown(where, plain, [str(a) for a in allowed]))
    return plain


def _read_tuple(hint: Any, plain: Any, where: str) -> tuple[Any, ...]:
    check(isinstance(plain, list | tuple), f"{_at(where)}{plain!r} is not {_describe(hint)}")
    items = get_args(hint)
    if items[-1] is Ellipsis:
        items = items[:1] * len(plain)
    check(len(items) == len(plain), f"{_at(where)}{len(plain)} given where {len(items)} are needed")
    return tuple(
        _read(item, v, f"{where}[{i}]") for i, (item, v) in enumerate(zip(items, plain, strict=True))
    )


def _read_group(group: type, plain: Any, where: str) -> Any:
    check(isinstance(plain, Mapping), f"{where or group.__name__}: {plain!r} is not a set of settings")
    hints = _hints(group)
    plain = {deprecated.current_setting(group, name) or name: value for name, value in plain.items()}
    if plain.get("kind") in deprecated.KINDS:
        plain["kind"] = deprecated.KINDS[plain["kind"]]
    for name in plain:
        if name not in hints:
            raise ConfigError(_unknown(_below(where, name), name, list(hints)))
    given = {name: _read(hints[name], value, _below(where, name)) for name, value in plain.items()}
    for name in hints:
        if name not in given and name not in _defaults(group):
            raise ConfigError(f"{_below(where, name)}: is missing; it has no default")
    try:
        return group(**given)
    except ConfigError as error:  # a range of the dataclass's own: it does not know its place, we do
        raise ConfigError(_with_path(where, str(error))) from None


# Settings of the command line -> plain values


def _set(hint: Any, plain: Any, path: list[str], text: str, where: str) -> Any:
    """`plain`, a value of the type `hint`, with the setting at `path` below it replaced by `text`."""
    if not path:
        return _parse(hint, text, where)
    name, rest = path[0], path[1:]
    here, groups = _below(where, name), _groups(hint)
    if not groups:
        raise ConfigError(f"{here}: there is nothing below {where}")
    if name == "kind" and not rest and len(set(groups.values())) > 1:
        return _switch(groups, plain, text, where)
    if plain is None and len(set(groups.values())) > 1:
        raise ConfigError(f"{here}: {where} is none; set {where}.kind first, one of {', '.join(groups)}")
    group = _member(groups, plain, where)
    plain = _defaults(group) if plain is None else plain
    hints = _hints(group)
    if new := deprecated.current_setting(group, name):
        deprecated.warn(here, _below(where, new))
        name, here = new, _below(where, new)
    if name not in hints:
        others = [f"{where}.kind={kind}" for kind, other in groups.items() if name in _hints(other)]
        raise ConfigError(
            _unknown(here, name, list(hints), _settings_below(plain, ".".join(path), where) + others)
        )
    return plain | {name: _set(hints[name], plain.get(name), rest, text, here)}


def _switch(groups: dict[str, Any], plain: Any, kind: str, where: str) -> dict[str, JSONValue]:
    """The member of a union called `kind`, keeping the fields that it shares with the old one."""
    if deprecated.KINDS.get(kind) in groups:
        deprecated.warn(f"{where}.kind={kind}", deprecated.KINDS[kind])
        kind = deprecated.KINDS[kind]
    new = _member(groups, {"kind": kind}, where)
    hints = _hints(new)
    old = _hints(_member(groups, plain, where)) if plain is not None else {}
    kept = {name: plain[name] for name in hints if name in old and old[name] == hints[name] and name in plain}
    return _defaults(new) | kept | {"kind": kind}


def _parse(hint: Any, text: str, where: str) -> JSONValue:
    """Text from the command line as a plain value of the type."""
    options = _options(hint)
    if types.NoneType in options and text.lower() == "none":
        return None
    groups = _groups(hint)
    if groups and len(groups) == len([o for o in options if o is not types.NoneType]):
        kind = text if text in groups else next(iter(groups))
        example = f"{where}.kind={kind}" if len(groups) > 1 else f"{where}.NAME=VALUE"
        raise ConfigError(f"{where}: is a set of settings; set those below it, such as {example}")
    told = [o for o in options if o is not types.NoneType]
    for option in told:
        try:
            return to_plain(_read(option, _coerce(option, text, where), where))
        except ConfigError:
            if len(told) == 1:
                raise  # its own message is the better one
    raise ConfigError(f"{where}: {text!r} is not {_describe(hint)}")


def _coerce(option: Any, text: str, where: str) -> Any:
    """What the text means if it is to be of the type `option`; the text itself where it cannot be."""
    if option is bool:
        return {"true": True, "false": False}.get(text.lower(), text)
    if option in (int, float):
        try:
            return option(text)
        except ValueError:
            return text
    if get_origin(option) is Literal:
        return next((a for a in get_args(option) if str(a) == text), text)
    return _coerce_tuple(get_args(option), text, where) if get_origin(option) is tuple else text


def _coerce_tuple(items: tuple[Any, ...], text: str, where: str) -> Any:
    if text.startswith("["):
        try:
            return json.loads(text)
        except ValueError:
            return text
    parts = [part.strip() for part in text.split(",")] if text else []
    hints = items[:1] * len(parts) if items[-1] is Ellipsis else items
    if len(hints) != len(parts):
        return parts  # the reader reports how many there should be
    return [_parse(h, part, f"{where}[{i}]") for i, (h, part) in enumerate(zip(hints, parts, strict=True))]


# Names of types in messages


def _is_group(hint: Any) -> bool:
    return isinstance(hint, type) and dataclasses.is_dataclass(hint)


def _options(hint: Any) -> list[Any]:
    """The members of a union, narrow types first; any other type alone."""
    options = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    return sorted(options, key=lambda o: _BREADTH.get(o, 4))


def _hints(group: type) -> dict[str, Any]:
    """The types of the fields that the dataclass is built from."""
    hints = get_type_hints(group)
    return {f.name: hints[f.name] for f in dataclasses.fields(group) if f.init}


def _defaults(group: type) -> dict[str, JSONValue]:
    """The plain defaults of those fields that have one."""
    found: dict[str, JSONValue] = {}
    for field in dataclasses.fields(group):
        if field.init and field.default is not dataclasses.MISSING:
            found[field.name] = to_plain(field.default)
        elif field.init and field.default_factory is not dataclasses.MISSING:
            found[field.name] = to_plain(field.default_factory())
    return found


def _groups(hint: Any) -> dict[str, Any]:
    """The dataclasses among the members of a union by their kinds; one without a kind goes by its name."""
    found = {}
    for group in filter(_is_group, _options(hint)):
        kind = _hints(group).get("kind")
        for name in get_args(kind) if get_origin(kind) is Literal else (group.__name__,):
            found[name] = group
    return found


def _member(groups: dict[str, Any], plain: Any, where: str) -> Any:
    """The dataclass that the plain value is of, by its `kind` where there is a choice."""
    if len(set(groups.values())) == 1:
        return next(iter(groups.values()))
    if not (isinstance(plain, Mapping) and "kind" in plain):
        raise ConfigError(f"{_at(where)}needs a kind, one of {', '.join(groups)}")
    kind = plain["kind"]
    if isinstance(kind, str) and deprecated.KINDS.get(kind) in groups:
        kind = deprecated.KINDS[kind]
    if not isinstance(kind, str) or kind not in groups:
        raise ConfigError(_unknown(_below(where, "kind"), kind, list(groups)))
    return groups[kind]


# Messages


def _below(where: str, name: object) -> str:
    return f"{where}.{name}" if where else str(name)


def _at(where: str) -> str:
    return f"{where}: " if where else ""


def _with_path(where: str, message: str) -> str:
    """The message with its place in front; `rate: …` and `frontend.rate: …` both find theirs in model.frontend."""
    above, _, last = where.rpartition(".")
    return _at(where) + message if not message.startswith(f"{last}.") else _below(above, message)


def _unknown(where: str, name: object, known: Sequence[str], elsewhere: Sequence[str] = ()) -> str:
    close = elsewhere or difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
    return f"{_at(where)}{name!r} is unknown; {hint}"


def _settings_below(plain: Any, path: str, where: str) -> list[str]:
    """The settings further below that end with the path: `encoder.dim` may mean `model.encoder.dim`."""
    found = []
    for name, value in plain.items():
        here = _below(where, name)
        if f".{here}".endswith(f".{path}"):
            found.append(here)
        if isinstance(value, Mapping):
            found += _settings_below(value, path, here)
    return found


def _describe(hint: Any) -> str:
    union = get_origin(hint) in (Union, types.UnionType)
    return " or ".join(_describe_one(option) for option in (get_args(hint) if union else (hint,)))


def _describe_one(hint: Any) -> str:
    items = get_args(hint)
    if get_origin(hint) is Literal:
        return f"one of {', '.join(map(str, items))}"
    if get_origin(hint) is tuple:
        return f"a list, each {_describe(items[0])}" if items[-1] is Ellipsis else f"a list of {len(items)}"
    return _NAMES.get(hint) or f"a {hint.__name__}"
