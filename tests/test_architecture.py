"""The house stands as docs/architecture.md says: who imports whom, what stays small, what stays quick."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

FLOORS = [  # server has its place already
    {"cpu_count", "deprecated", "errors", "lengths", "sharding", "strict_json"},
    {"config", "files", "model_file"},
    {"audio", "data", "features", "layers", "provenance", "text", "weights"},
    {"attention", "augment", "decoding", "encoders", "forced_alignment", "lm", "metrics"},
    {"decoders"},
    {"model"},
    {"attention_metrics", "checkpoint", "convert"},
    {"inference", "training"},
    {"corpus_check", "server"},
    {"report"},
    {"experiments"},
    {"cli"},
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
HEAVY = {"lightning", "librosa", "matplotlib", "scipy", "sentencepiece", "tensorboard", "torch", "torchaudio"}
PACKAGES = ["asrattn", "data_prep", "recipes", "benchmarks"]
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def modules(package: str) -> dict[str, Path]:
    """Dotted name -> file, for every module of a top-level package."""
    found = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = {package: modules(package) for package in PACKAGES}
EVERY = {name: path for package in MODULES.values() for name, path in package.items()}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in EVERY.items()}


def imports(name: str) -> Iterator[tuple[int, str]]:
    """Line and dotted name of all that a module imports: inside functions and under TYPE_CHECKING too.

    There is no exception for types: who names a class of a higher floor knows that floor.
    """
    package = name.split(".") if EVERY[name].name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *(node.module.split(".") if node.module else [])])
            for alias in node.names:
                below = f"{source}.{alias.name}"
                yield node.lineno, below if below in EVERY else source


def room(name: str) -> str:
    """asrattn.text.chars -> text; the package itself -> ''."""
    return ".".join(name.split(".")[1:2])


def place(name: str, line: int) -> str:
    return f"{EVERY[name].relative_to(ROOT)}:{line}"


def test_every_room_has_a_floor() -> None:
    assert {room(name) for name in MODULES["asrattn"]} - {""} <= FLOOR.keys()


def test_nobody_imports_from_a_higher_floor() -> None:
    wrong = [
        f"{place(name, line)}: {room(name)} (floor {FLOOR[room(name)]}) imports {imported}"
        for name in MODULES["asrattn"]
        for line, imported in imports(name)
        if room(name) in FLOOR and imported.startswith("asrattn.") and room(imported) in FLOOR
        if FLOOR[room(imported)] > FLOOR[room(name)]
    ]
    assert wrong == []


def test_no_rooms_import_each_other() -> None:
    """Floors allow imports between rooms of one floor; a circle is still none."""
    below = {
        r: {room(i) for name in MODULES["asrattn"] if room(name) == r for _, i in imports(name)}
        for r in FLOOR
    }
    resolved: set[str] = set()
    while free := {r for r in FLOOR if r not in resolved and (below[r] & FLOOR.keys()) - {r} <= resolved}:
        resolved |= free
    assert FLOOR.keys() - resolved == set()


def test_decoding_knows_protocols_and_not_the_model() -> None:
    wrong = [
        f"{place(name, line)}: imports {imported}"
        for name in MODULES["asrattn"]
        if room(name) == "decoding"
        for line, imported in imports(name)
        if imported.startswith("asrattn.model")
    ]
    assert wrong == []


def test_the_package_itself_loads_nothing_until_it_is_asked() -> None:
    assert {name for _, name in imports("asrattn")} == {"typing", "asrattn.inference.recognizer"}
    assert loaded_after("import asrattn", HEAVY | {"numpy"}) == set()
    assert loaded_after("from asrattn import Recognizer", HEAVY) == {"torch"}


def test_lightning_lives_where_models_are_trained() -> None:
    wrong = [
        f"{place(name, line)}: imports {imported}"
        for name in EVERY
        if not name.startswith(("asrattn.training", "asrattn.experiments"))
        for line, imported in imports(name)
        if imported.split(".")[0] in ("lightning", "pytorch_lightning", "lightning_fabric")
    ]
    assert wrong == []


def test_the_package_knows_neither_data_prep_nor_recipes() -> None:
    wrong = [
        f"{place(name, line)}: imports {imported}"
        for name in MODULES["asrattn"]
        for line, imported in imports(name)
        if imported.split(".")[0] in ("data_prep", "recipes", "benchmarks", "tests")
    ]
    assert wrong == []


def test_data_prep_knows_few_rooms() -> None:
    wrong = [
        f"{place(name, line)}: imports {imported}"
        for name in MODULES["data_prep"]
        for line, imported in imports(name)
        if imported.split(".")[0] in ("asrattn", "recipes", "torch", "torchaudio")
        if room(imported) not in ("audio", "cpu_count", "data", "errors", "sharding", "text")
    ]
    assert wrong == []


def test_a_recipe_is_a_value() -> None:
    """A file with a RECIPE imports configuration classes and nothing that works."""
    wrong = [
        f"{place(name, line)}: imports {imported}"
        for name in MODULES["recipes"]
        if any(
            isinstance(n, ast.Assign) and getattr(n.targets[0], "id", "") == "RECIPE"
            for n in TREES[name].body
        )
        for line, imported in imports(name)
        if imported.split(".")[0] not in ("asrattn", "recipes", "dataclasses")
    ]
    assert wrong == []


def calls(name: str) -> Iterator[tuple[str, ast.Call]]:
    """What a module calls, as it is written there."""
    yield from ((ast.unparse(n.func), n) for n in ast.walk(TREES[name]) if isinstance(n, ast.Call))


def test_only_the_command_line_prints_and_exits() -> None:
    wrong = [
        f"{place(name, call.lineno)}: {function}"
        for name in [*MODULES["asrattn"], *MODULES["data_prep"]]
        if not name.startswith("asrattn.cli") and name != "data_prep.__main__"
        for function, call in calls(name)
        if function in ("print", "exit", "quit", "sys.exit", "os._exit")
    ]
    assert wrong == []


def test_nothing_is_executed_from_a_file() -> None:
    """Model files are data. What training resumes from is Lightning's own, and read as weights only; so
    are the files of other programs."""
    wrong = [
        f"{place(name, call.lineno)}: {function}"
        for name in MODULES["asrattn"]
        for function, call in calls(name)
        if function in ("pickle.load", "pickle.loads", "pickle.Unpickler", "eval", "exec")
        or (
            function == "torch.load"
            and not (name.startswith(("asrattn.training", "asrattn.convert")) and weights_only(call))
        )
    ]
    assert wrong == []


def weights_only(call: ast.Call) -> bool:
    return any(k.arg == "weights_only" and ast.unparse(k.value) == "True" for k in call.keywords)


def test_files_fit_a_sitting() -> None:
    sizes = {
        str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in EVERY.values()
    }
    assert {path: size for path, size in sizes.items() if size > 400} == {}


def test_functions_fit_a_screen() -> None:
    wrong = [
        f"{place(name, node.lineno)}: {node.name} has {size} lines"
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, FUNCTIONS)
        if (size := (node.end_lineno or 0) - node.lineno + 1) > 60
    ]
    assert wrong == []


def test_no_module_is_a_drawer() -> None:
    drawers = {"utils", "util", "helpers", "helper", "misc", "common", "tools"}
    assert [name for name in EVERY if drawers & set(name.split("."))] == []


def test_every_module_says_what_it_is() -> None:
    assert [name for name, tree in TREES.items() if not ast.get_docstring(tree)] == []


def loaded_after(code: str, packages: set[str]) -> set[str]:
    """Those packages that a fresh interpreter has loaded after the code."""
    report = f"import sys\n{code}\nprint('loaded', *({packages!r} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", report], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split()[1:])


def test_help_loads_nothing_heavy() -> None:
    code = "from asrattn.cli.main import main\ntry: main(['--help'])\nexcept SystemExit as done: assert done.code == 0"
    assert loaded_after(code, HEAVY | {"numpy", "tqdm"}) == set()


def test_help_answers_at_once() -> None:
    """Processor seconds, the best of three: a busy machine must not fail the test."""
    seconds = []
    for _ in range(3):
        before = os.times()
        subprocess.run(
            [sys.executable, "-m", "asrattn.cli.main", "--help"], capture_output=True, cwd=ROOT, check=True
        )
        after = os.times()
        seconds.append(
            after.children_user + after.children_system - before.children_user - before.children_system
        )
    assert min(seconds) < 0.3


@pytest.mark.parametrize(
    "name", ["audio", "config", "data.manifest", "errors", "experiments.variants", "lm", "metrics", "text"]
)
def test_the_lower_floors_load_no_torch(name: str) -> None:
    assert loaded_after(f"import asrattn.{name}", HEAVY) == set()


def test_using_a_model_loads_no_training() -> None:
    assert loaded_after("import asrattn.inference.recognizer", HEAVY) == {"torch"}


RECIPES = """
import time
from pathlib import Path
from asrattn.config import override
from asrattn.training.lm.recipe import LMRecipe
from asrattn.training.pretrain.recipe import PretrainRecipe
from asrattn.training.recipe import Recipe
for path in Path("recipes").glob("*/*.py"):
    override(Recipe.load(path), ["model.encoder.kind=conformer", "train.epochs=3"])
for path in Path("recipes").glob("*/lm/*.py"):
    override(LMRecipe.load(path), ["train.epochs=3"])
for path in Path("recipes").glob("*/pretrain/*.py"):
    override(PretrainRecipe.load(path), ["train.epochs=3"])
assert time.process_time() < 1.5, time.process_time()
"""


def test_recipes_are_read_and_changed_without_torch() -> None:
    """Whoever misspells a setting is told at once; all recipes together take half a second."""
    assert loaded_after(RECIPES, HEAVY) == set()


@pytest.mark.parametrize("name", [name for name in MODULES["asrattn"] if name.split(".")[-1] == "config"])
def test_configuration_loads_no_torch(name: str) -> None:
    """Neither of its own nor through the folder's __init__."""
    assert loaded_after(f"import {name}", HEAVY) == set()
