"""`asrattn check DIR|MANIFEST…`: check a corpus for problems before training on it."""

import argparse
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from asrattn import files
from asrattn.cli import options
from asrattn.cpu_count import usable_cpus
from asrattn.training import initialization
from asrattn.training.recipe import Recipe

if TYPE_CHECKING:
    from asrattn.corpus_check.finding import CheckedUtterance, Finding
    from asrattn.corpus_check.result import CheckResult

T = TypeVar("T")
_WORST, _ALL = "breaking", "all"


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Check the audio, transcripts and splits of a corpus. Status 1 if something would break training: "
        "stop it, or drop the utterance. Manifests whose names begin with train are training sets."
    )
    parser.add_argument(
        "subjects",
        nargs="+",
        type=Path,
        metavar="DIR|MANIFEST",
        help="manifests (.jsonl), or folders of them",
    )
    parser.add_argument("--quick", action="store_true", help="read no audio")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write check.html and check.json there")
    parser.add_argument(
        "--fix",
        nargs="?",
        choices=[_WORST, _ALL],
        const=_WORST,
        help="write NAME.clean.jsonl beside each manifest, without utterances that would break training; "
        "all: without suspicious ones too",
    )
    parser.add_argument(
        "--jobs",
        type=options.positive_int,
        default=usable_cpus(),
        metavar="N",
        help="processes that read audio",
    )
    with_recipe = parser.add_argument_group("with a recipe: dropped utterances, padding, memory")
    with_recipe.add_argument("--recipe", type=Path, metavar="RECIPE.py")
    with_recipe.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="settings",
        help="change a setting of the recipe",
    )
    options.add_init(with_recipe, "the model that a recipe with `init` begins from")
    with_model = parser.add_argument_group("with a model: likely label errors, ranked by their loss")
    with_model.add_argument("--model", type=Path, metavar="MODEL", help="a run's model.safetensors")
    options.add_recognition(with_model)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from asrattn.corpus_check import manifests

    paths = manifests.find(args.subjects)
    if args.recipe:
        _load_recipe(args)
    if args.model:
        options.check_recognition(args)
    if args.out:
        files.make_folder(args.out)
    if args.fix:
        for path in paths.values():
            manifests.refuse_overwrite(path)  # before the long computation
    result = _check(args, paths)
    print("\n".join(result.format_lines()))
    if args.out:
        _write(args.out, args.subjects, result)
    if args.fix:
        _fix(paths, result.findings, args.fix == _ALL)
    return 1 if result.breaks_training else 0


def _check(args: argparse.Namespace, paths: Mapping[str, Path]) -> "CheckResult":
    from asrattn import corpus_check
    from asrattn.corpus_check import manifests
    from asrattn.corpus_check.result import CheckResult, summarize_splits

    cases: list[CheckedUtterance] = []
    findings: list[Finding] = []
    for path in paths.values():
        good, bad = manifests.read(path)
        cases += good
        findings += bad
    parts = manifests.find_parts(cases)
    cases = [case for case in cases if case.split not in parts]
    if not args.quick:
        cases = manifests.add_audio_stats(cases, args.jobs, partial(_bar, name="reading audio"))
    facts: Mapping[str, str] = {part: f"checked as part of {whole}" for part, whole in parts.items()}
    if args.recipe:
        from asrattn.corpus_check import with_recipe

        recipe = _load_recipe(args)
        tokenizer = initialization.taken_tokenizer(recipe, args.init)
        findings += corpus_check.check_corpus(cases, has_recipe=True, tokenizer=tokenizer)
        more, found = with_recipe.check_with_recipe(cases, recipe, tokenizer)
        findings += more
        facts = {**facts, **found}
    else:
        findings += corpus_check.check_corpus(cases)
    if args.model:
        findings += _check_with_model(cases, args)
    return CheckResult(summarize_splits(cases), findings, facts)


def _load_recipe(args: argparse.Namespace) -> Recipe:
    return initialization.load_recipe(args.recipe, args.settings, args.init)


def _check_with_model(cases: "Sequence[CheckedUtterance]", args: argparse.Namespace) -> "list[Finding]":
    from asrattn.corpus_check import label_errors

    recognizer, decoding = options.load_recognizer(args)
    return label_errors.find_label_errors(cases, recognizer, decoding, partial(_bar, name="decoding"))


def _bar(items: Iterator[T], total: int, name: str) -> Iterable[T]:
    return options.progress_bar(items, total, "utterance", name)


def _write(folder: Path, subjects: Sequence[Path], result: "CheckResult") -> None:
    from asrattn.report.check_page import write_check_page

    write_check_page(folder / "check.html", f"Check of {', '.join(map(str, subjects))}", result)
    files.write_text(folder / "check.json", json.dumps(result.to_plain(), indent=1, ensure_ascii=True) + "\n")
    print(folder / "check.html")


def _fix(paths: Mapping[str, Path], findings: "Sequence[Finding]", everything: bool) -> None:
    """Write the manifests without lines that would break training, or are suspicious too; print what was removed."""
    from asrattn.corpus_check import manifests
    from asrattn.corpus_check.finding import Severity

    severities = {Severity.BREAKS, Severity.SUSPICIOUS} if everything else {Severity.BREAKS}
    chosen = [each for each in findings if each.kind.severity in severities and each.lines_to_drop]
    left = {
        name: {line for each in chosen for split, line in each.lines_to_drop if split == name}
        for name in paths
    }
    for written, lines in manifests.write_clean_manifests(
        {paths[name]: lines for name, lines in left.items()}
    ).items():
        print(f"{written}: without {len(lines)} lines")
    for kind in dict.fromkeys(each.kind for each in chosen):
        print(f"  {kind.name}: {', '.join(each.where for each in chosen if each.kind == kind)}")
