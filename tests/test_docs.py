"""Commands, flags, settings, modules and paths that the documents name exist. Nothing here loads torch."""

import argparse
import ast
import dataclasses
import importlib
import re
import types
import typing
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from asrattn import deprecated
from asrattn.cli.main import COMMANDS, MODULES
from asrattn.training.lm.recipe import LMRecipe
from asrattn.training.pretrain.recipe import PretrainRecipe
from asrattn.training.recipe import Recipe
from data_prep.__main__ import make_parser

ROOT = Path(__file__).resolve().parents[1]
LEDGER = ROOT / "recipes/README.md"  # its commands keep the names of their commits
PAGES = sorted(
    [
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "benchmarks/README.md")),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "recipes").rglob("*.md"),
    ]
)
PACKAGES = ("asrattn", "data_prep", "recipes", "benchmarks", "tests")
MADE_UP = {"asrattn/attention/near.py", "recipes/mine/"}  # files that a guide tells the reader to write
SHORT_KEYS = ("encoder", "decoder", "frontend")  # `model.` may be left out in --vary
FILE_ENDINGS = (".jsonl", ".index", ".py", ".safetensors")
FOREIGN_FLAGS = {"--nnodes", "--nproc-per-node"}  # of torchrun
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]*")

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@cache
def code(page: Path) -> tuple[str, ...]:
    """Lines of the code blocks of a page, continued ones joined, and its text in backticks."""
    blocks = [re.sub(r"\\\n\s*", " ", block) for _, block in FENCE.findall(page.read_text("utf-8"))]
    return (*(line for block in blocks for line in block.splitlines()), *spans(page))


def spans(page: Path) -> list[str]:
    """The text in backticks, outside of code blocks."""
    return [" ".join(s.split()) for s in re.findall(r"`([^`]+)`", FENCE.sub("", page.read_text("utf-8")))]


def commands(page: Path, start: str) -> Iterator[str]:
    """What follows `start` in the code of a page, up to the end of that command."""
    for line in code(page):
        for part in re.split(rf"(?<![\w/.]){start} (?=[a-z])", line)[1:]:
            if not part.startswith("import "):
                yield re.split(r" [|>]|[;)'\"]|&&|  ", part)[0]


def flags(parser: argparse.ArgumentParser) -> set[str]:
    """The long options of a parser and of those below it."""
    found = {option for action in parser._actions for option in action.option_strings}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found |= {flag for below in action.choices.values() for flag in flags(below)}
    return found


@cache
def flags_of_command(name: str) -> set[str]:
    parser = argparse.ArgumentParser()
    module = MODULES.get(name, name.replace("-", "_"))
    importlib.import_module(f"asrattn.cli.{module}").add(parser)
    return flags(parser)


def module_path(name: str) -> Path | None:
    """The file of a module of this repository."""
    path = ROOT.joinpath(*name.split("."))
    candidates = (path.with_suffix(".py"), path / "__main__.py", path / "__init__.py")
    return next((file for file in candidates if file.is_file()), None)


def test_pages_are_found() -> None:
    assert len(PAGES) > 25


@each_page
def test_commands_and_their_flags_exist(page: Path) -> None:
    wrong = []
    for command in commands(page, "asrattn"):
        words = command.split()
        if page == LEDGER:
            words = deprecated.current_arguments(words)
        if words[0] not in COMMANDS:
            wrong.append(f"asrattn {words[0]}")
        else:
            wrong += sorted(set(FLAG.findall(" ".join(words))) - flags_of_command(words[0]))
    assert wrong == []


@each_page
def test_modules_that_are_run_exist(page: Path) -> None:
    """And know the flags that follow: a module of benchmarks has them in its own text or beside it."""
    wrong = []
    for command in commands(page, "python -m"):
        module, *_ = command.split()
        path = module_path(module)
        if path is None or module.split(".")[0] not in PACKAGES:
            wrong.append(module)
        elif module == "data_prep":
            wrong += sorted(set(FLAG.findall(command)) - flags(make_parser()))
        else:
            source = path.read_text("utf-8") + (ROOT / "benchmarks/peers/harness.py").read_text("utf-8")
            wrong += [flag for flag in FLAG.findall(command) if f'"{flag}"' not in source]
    assert wrong == []


@each_page
def test_flags_in_the_text_exist(page: Path) -> None:
    known = flags(make_parser()).union(*(flags_of_command(name) for name in COMMANDS))
    named = {flag for span in spans(page) if span.startswith("--") for flag in FLAG.findall(span)}
    benchmarks = " ".join(path.read_text("utf-8") for path in (ROOT / "benchmarks").rglob("*.*"))
    assert [flag for flag in sorted(named - known - FOREIGN_FLAGS) if flag not in benchmarks] == []


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    wrong = []
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", page.read_text("utf-8"))):
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        if "://" not in target and not (file.exists() and (not anchor or anchor in anchors(file))):
            wrong.append(target)
    assert wrong == []


def anchors(page: Path) -> set[str]:
    """The names that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_page
def test_paths_exist(page: Path) -> None:
    """Paths of the repository, in code and text; in docs/architecture.md also those below asrattn/."""
    words = {word.strip(".,:;()'\"[]").split("::")[0] for line in code(page) for word in line.split()}
    wrong = [
        word
        for word in sorted(words - MADE_UP)
        if word.split("/")[0] in (*PACKAGES, "docs", ".ci", ".github") and "/" in word
        if not re.search(r"[A-Z…<>$]{3}|…", word) and not list(ROOT.glob(word.rstrip("/")))
    ]
    rooms = {word for word in words if re.fullmatch(r"[a-z_/]+(/|/[a-z_]+\.py)", word)}
    if page.name == "architecture.md":
        wrong += [
            word
            for word in sorted(rooms)
            if not ((ROOT / "asrattn" / word).exists() or (ROOT / word).exists())
        ]
    assert wrong == []


def test_the_tree_of_the_readme_exists() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    inner = re.findall(r"^[├└]── (.+?)  ", text, re.MULTILINE)
    outer = re.findall(r"^(\w+/)  +\S", text, re.MULTILINE)
    names = [ROOT / "asrattn" / name for line in inner for name in line.split()]
    wrong = [path for path in names if not (path.exists() or path.with_suffix(".py").exists())]
    assert len(names) > 20
    assert [*wrong, *(name for name in outer if not (ROOT / name).is_dir())] == []


@each_page
def test_imports_and_dotted_names_exist(page: Path) -> None:
    text = page.read_text("utf-8")
    names = {span for span in code(page) if re.fullmatch(r"(asrattn|data_prep|benchmarks)(\.\w+)+", span)}
    for language, block in FENCE.findall(text):
        if language == "python":
            names |= {
                f"{node.module}.{alias.name}"
                for node in ast.walk(ast.parse(block))
                if isinstance(node, ast.ImportFrom)
                for alias in node.names
            }
    ours = {name for name in names if name.split(".")[0] in PACKAGES}
    assert [name for name in sorted(ours) if not is_defined(name) and "near" not in name.lower()] == []


def is_defined(name: str) -> bool:
    """Whether a dotted name is a module, or a word in the text of one."""
    if module_path(name):
        return True
    above, _, last = name.rpartition(".")
    path = module_path(above)
    if path is None:
        return bool(above) and is_defined(above)
    return re.search(rf"\b{last}\b", path.read_text("utf-8")) is not None


@each_page
def test_settings_exist(page: Path) -> None:
    """Keys of --set, --space and --vary, and those in backticks."""
    keys = {
        match
        for line in code(page)
        for match in re.findall(r"--(?:set|space|vary) ([a-z][\w.]*)=", line)
        + re.findall(
            r"^((?:model|data|train|decoding|encoder|decoder|loss|augment|bestrq)(?:\.[a-z]\w*)+)(?:=.*)?$",
            line,
        )
        if not match.endswith(FILE_ENDINGS)
    }
    assert [key for key in sorted(keys) if not is_setting(key, old=page == LEDGER)] == []


def is_setting(key: str, old: bool) -> bool:
    """Whether a recipe has the key; with `old` also under a name of the release before."""
    names = key.split(".")
    if names[0] in SHORT_KEYS:
        names.insert(0, "model")
    configs: set[type] = {Recipe, LMRecipe, PretrainRecipe}
    for at, name in enumerate(names):
        found = {(config, new) for config in configs if (new := field_name(config, name, old))}
        if not found:
            return False
        hints = [get_type_hints(config)[new] for config, new in found]
        configs = {member for hint in hints for member in members(hint)}
        if not configs:
            return at == len(names) - 1
    return True


def field_name(config: type, name: str, old: bool) -> str | None:
    fields = {field.name for field in dataclasses.fields(config)}  # type: ignore[arg-type]
    current = deprecated.current_setting(config, name) if old else None
    return name if name in fields else current


def members(hint: Any) -> Iterator[type]:
    """The dataclasses of a type: itself, or those of a union."""
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        yield hint
    elif typing.get_origin(hint) in (typing.Union, types.UnionType, typing.Annotated):
        for member in get_args(hint):
            yield from members(member)


def test_words_to_grep_lead_to_their_files() -> None:
    """The table "Where to look" of docs/architecture.md: each word occurs in the first file of its row."""
    text = (ROOT / "docs/architecture.md").read_text("utf-8").partition("## Where to look")[2]
    rows = re.findall(r"^\| .+ \| `(.+)` \| `([a-z_/]+\.py)`", text, re.MULTILINE)
    wrong = [row for row in rows if not contains(ROOT / "asrattn" / row[1], row[0])]
    assert len(rows) > 10
    assert wrong == []


def contains(path: Path, words: str) -> bool:
    return path.is_file() and words.lower() in path.read_text("utf-8").lower()


def test_floors_are_those_of_the_test() -> None:
    text = (ROOT / "docs/architecture.md").read_text("utf-8")
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", text, re.MULTILINE)
    documented = {int(floor): set(re.findall(r"`(\w+)`", rooms)) for floor, rooms in rows}
    tree = ast.parse((ROOT / "tests/test_architecture.py").read_text("utf-8"))
    value = next(
        n.value for n in tree.body if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == "FLOORS"
    )
    rooms = {
        name for name in (path.stem for path in (ROOT / "asrattn").iterdir()) if not name.startswith("_")
    }
    tested = {floor: names & rooms for floor, names in enumerate(ast.literal_eval(value))}
    assert documented == tested
