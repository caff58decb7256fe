"""Names can be told apart: no two public classes of one name, no two modules of a folder that differ by an ending."""

import ast
import itertools
import re
from collections import defaultdict
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "asrattn"
FOLDERS = sorted(path.parent for path in PACKAGE.rglob("__init__.py"))
ENDING = re.compile(r"(s|ed|er|ing)$")
MAX_MORE_LETTERS = 2  # of a name that begins with another one


def too_similar(a: str, b: str) -> bool:
    """Whether names differ by one letter or an ending, or one is the other with a letter or two more."""
    short, long = sorted((a, b), key=len)
    if ENDING.sub("", short) == ENDING.sub("", long):
        return True
    if len(short) == len(long):
        return sum(x != y for x, y in zip(short, long, strict=True)) == 1
    return long.startswith(short) and len(long) - len(short) <= MAX_MORE_LETTERS


@pytest.mark.parametrize(
    ("a", "b", "similar"),
    [
        ("source", "sources", True),
        ("part", "parts", True),
        ("search", "searched", True),
        ("encoder", "encoding", True),
        ("lines", "lanes", True),
        ("beam", "beam_search", False),
        ("muon", "norm", False),
    ],
)
def test_similar_names_are_found(a: str, b: str, similar: bool) -> None:
    assert too_similar(a, b) == similar


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(PACKAGE.parent)))
def test_modules_of_a_folder_differ_by_more_than_an_ending(folder: Path) -> None:
    files = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    packages = {path.parent.name for path in folder.glob("*/__init__.py")}
    wrong = [pair for pair in itertools.combinations(sorted(files | packages), 2) if too_similar(*pair)]
    assert wrong == []


def test_public_classes_have_names_of_their_own() -> None:
    """Aliases and type variables are no classes; `from asrattn… import A as B` defines none."""
    homes = defaultdict(list)
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].append(str(path.relative_to(PACKAGE)))
    assert len(homes) > 150
    assert {name: paths for name, paths in homes.items() if len(paths) > 1} == {}
