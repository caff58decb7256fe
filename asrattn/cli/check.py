"""`asrattn check DIR|MANIFEST…`: what is wrong with a corpus, before a GPU-hour is spent on it."""

import argparse
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from asrattn import files
from asrattn.cli import options
from asrattn.config import override
from asrattn.training.recipe import Recipe

if TYPE_CHECKING:
    from asrattn.checking.finding import Case, Finding
    from asrattn.checking.result import Result

T = TypeVar("T")
_WORST, _ALL = "breaking", "all"


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Look at every sound, text and split of a corpus. Status 1 when something would break training: "
        "stop it, or have it drop the utterance. Manifests whose name begins with train are trained on."
    )
    parser.add_argument(
        "subjects",
        nargs="+",
        type=Path,
        metavar="DIR|MANIFEST",
        help="manifests (.jsonl), or folders of them",
    )
    parser.add_argument("--quick", action="store_true", help="open no sound file")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write check.html and check.json there")
    parser.add_argument(
        "--fix",
        nargs="?",
        choices=[_WORST, _ALL],
        const=_WORST,
        help="write NAME.clean.jsonl beside each manifest, without what would break training; "
        "all: without what is suspicious too",
    )
    parser.add_argument(
        "--jobs",
        type=options.positive,
        default=os.cpu_count() or 1,
        metavar="N",
        help="processes that read audio",
    )
    planned = parser.add_argument_group("with a recipe: what it drops, its padding, its memory")
    planned.add_argument("--recipe", type=Path, metavar="RECIPE.py")
    planned.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="settings",
        help="change a setting of it",
    )
    judged = parser.add_argument_group("with a model: likely wrong texts, ranked by their loss")
    judged.add_argument("--model", type=Path, metavar="MODEL", help="a run's model.safetensors")
    options.add_recognition(judged)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from asrattn.checking import manifests

    paths = manifests.find(args.subjects)
    if args.recipe:
        override(Recipe.load(args.recipe), args.settings)
    if args.model:
        options.check_recognition(args)
    if args.out:
        files.make_folder(args.out)
    if args.fix:
        for path in paths.values():
            manifests.refuse(path)  # before the long work
    result = _examined(args, paths)
    print("\n".join(result.lines()))
    if args.out:
        _write(args.out, args.subjects, result)
    if args.fix:
        _fix(paths, result.findings, args.fix == _ALL)
    return 1 if result.breaks else 0


def _examined(args: argparse.Namespace, paths: Mapping[str, Path]) -> "Result":
    from asrattn import checking
    from asrattn.checking import manifests
    from asrattn.checking.result import Result, summarize

    cases: list[Case] = []
    findings: list[Finding] = []
    for path in paths.values():
        good, bad = manifests.read(path)
        cases += good
        findings += bad
    if not args.quick:
        cases = manifests.listened(cases, args.jobs, partial(_bar, name="listening"))
    findings += checking.examine(cases, planned=bool(args.recipe))
    facts: Mapping[str, str] = {}
    if args.recipe:
        more, facts = _planned(cases, args)
        findings += more
    if args.model:
        findings += _judged(cases, args)
    return Result(summarize(cases), findings, facts)


def _planned(cases: "Sequence[Case]", args: argparse.Namespace) -> "tuple[list[Finding], Mapping[str, str]]":
    from asrattn.checking import planned

    return planned.examine(cases, override(Recipe.load(args.recipe), args.settings))


def _judged(cases: "Sequence[Case]", args: argparse.Namespace) -> "list[Finding]":
    from asrattn.checking import labels

    recognizer, search = options.recognizer(args)
    return labels.examine(cases, recognizer, search, partial(_bar, name="recognising"))


def _bar(items: Iterator[T], total: int, name: str) -> Iterable[T]:
    return options.bar(items, total, "utterance", name)


def _write(folder: Path, subjects: Sequence[Path], result: "Result") -> None:
    from asrattn.checking.page import write_page

    write_page(folder / "check.html", f"Check of {', '.join(map(str, subjects))}", result)
    files.write_text(folder / "check.json", json.dumps(result.plain(), indent=1, ensure_ascii=True) + "\n")
    print(folder / "check.html")


def _fix(paths: Mapping[str, Path], findings: "Sequence[Finding]", everything: bool) -> None:
    """Leave out what would break training, or what is suspicious too, and say what that was."""
    from asrattn.checking import manifests
    from asrattn.checking.finding import Severity

    severities = {Severity.BREAKS, Severity.SUSPICIOUS} if everything else {Severity.BREAKS}
    chosen = [each for each in findings if each.kind.severity in severities and each.leave]
    left = {name: {line for each in chosen for split, line in each.leave if split == name} for name in paths}
    for written, lines in manifests.leave_out({paths[name]: lines for name, lines in left.items()}).items():
        print(f"{written}: without {len(lines)} lines")
    for kind in dict.fromkeys(each.kind for each in chosen):
        print(f"  {kind.name}: {', '.join(each.where for each in chosen if each.kind == kind)}")
