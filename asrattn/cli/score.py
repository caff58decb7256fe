"""`asrattn score`: error rates of a file of hypotheses against a manifest. No model and no torch."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from asrattn.cli import options
from asrattn.errors import DataError

if TYPE_CHECKING:
    from asrattn.manifest import Utterance
    from asrattn.scoring import Row

NORMALIZE = ("lower", "plain")  # by name: the functions would bring numpy to `asrattn --help`
_MARKS = {"equal": "", "substitute": "S", "delete": "D", "insert": "I"}


def add(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "score",
        help="WER and CER of hypotheses against references, with intervals",
        description="WER and CER of hypotheses against references, with 95 % intervals; needs no model.",
    )
    parser.add_argument("reference", type=Path, help="a manifest (.jsonl); its audio is not needed")
    parser.add_argument("hypothesis", type=Path, help='JSON lines, {"id": …, "text": …} one utterance a line')
    parser.add_argument(
        "--normalize",
        choices=NORMALIZE,
        help="a second line, after both texts were lower-cased or also freed of punctuation (plain)",
    )
    parser.add_argument("--by", choices=["speaker"], help="a line for each speaker too")
    parser.add_argument(
        "--worst", type=options.positive, default=0, metavar="N", help="show the N worst utterances"
    )
    parser.add_argument(
        "--confusions",
        type=options.positive,
        default=0,
        metavar="N",
        help="show the N most frequent confusions of words",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from asrattn.scoring import confusions, worst

    pairs = _matched(args.reference, args.hypothesis)
    name = args.reference.stem
    rows = _print_set(name, pairs, "none", args.by)
    if args.normalize:
        rows = _print_set(f"{name} ({args.normalize})", pairs, args.normalize, args.by)
    for row in worst(rows, args.worst):
        print(f"\n{row.id}   {row.words.errors} errors in {row.words.words} words")
        print("\n".join(aligned_lines(row)))
    found = confusions(rows, args.confusions)
    if found:
        print("\ntimes   said → heard")
    for said, heard, times in found:
        print(f"{times:5}   {said or '(nothing)'} → {heard or '(nothing)'}")
    return 0


def aligned_lines(row: "Row") -> list[str]:
    """Reference above hypothesis, word under word; below a wrong one S, D or I: substituted, deleted, inserted."""
    from asrattn.scoring import align
    from asrattn.scoring.counts import words

    columns = []
    for kind, said, heard in align(words(row.reference), words(row.hypothesis)):
        width = max(len(said), len(heard))
        columns.append([f"{text:{width}}" for text in (said, heard, _MARKS[kind])])
    return [
        f"  {label}  {' '.join(cells)}".rstrip()
        for label, cells in zip(("said ", "heard", "     "), zip(*columns, strict=True), strict=True)
    ]


def _matched(reference: Path, hypothesis: Path) -> list[tuple["Utterance", str]]:
    """Utterances with what was heard in them; a missing hypothesis is an empty one, and told."""
    from asrattn import manifest
    from asrattn.scoring import hypotheses

    utterances = manifest.read(reference)
    heard = {line.id: line.text for line in hypotheses.read(hypothesis)}
    known = {utterance.id for utterance in utterances}
    unknown = [name for name in heard if name not in known]
    if unknown:
        raise DataError(
            f"{hypothesis}: {_some(unknown)} not in {reference}; score against the set that was heard"
        )
    missing = [utterance.id for utterance in utterances if utterance.id not in heard]
    if missing:
        print(
            f"{hypothesis}: {_some(missing)} missing; each counts as deleted, word by word", file=sys.stderr
        )
    return [(utterance, heard.get(utterance.id, "")) for utterance in utterances]


def _print_set(
    name: str, pairs: Sequence[tuple["Utterance", str]], normalizer: str, by: str | None
) -> list["Row"]:
    from asrattn.scoring import NORMALIZERS, by_speaker, score, summarize

    rows = [score(u.id, u.text, text, u.speaker, NORMALIZERS[normalizer]) for u, text in pairs]
    result = summarize(name, rows)
    print(result.line())
    if normalizer == "none":
        print(f"95 % intervals from resampling {result.unit}", file=sys.stderr)
    if by == "speaker":
        for speaker, own in by_speaker(rows).items():
            print(summarize(f"{name}/{speaker or 'unknown'}", own).line())
    return rows


def _some(ids: Sequence[str]) -> str:
    shown = ", ".join(ids[:3]) + (", …" if len(ids) > 3 else "")
    return f"{len(ids)} utterance{'s' if len(ids) > 1 else ''} ({shown})"
