"""`asrattn score`: error rates of a file of hypotheses against a manifest. No model and no torch."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from asrattn.cli import options
from asrattn.cli.scored import matched, print_aligned

if TYPE_CHECKING:
    from asrattn.manifest import Utterance
    from asrattn.scoring import Row

NORMALIZE = ("lower", "plain")  # by name: the functions would bring numpy to `asrattn --help`


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
    from asrattn import manifest
    from asrattn.scoring import confusions, worst

    utterances = manifest.read(args.reference)
    texts = matched(utterances, args.reference, args.hypothesis)
    pairs = list(zip(utterances, texts, strict=True))
    name = args.reference.stem
    rows = _print_set(name, pairs, "none", args.by)
    if args.normalize:
        rows = _print_set(f"{name} ({args.normalize})", pairs, args.normalize, args.by)
    for row in worst(rows, args.worst):
        print_aligned(row)
    found = confusions(rows, args.confusions)
    if found:
        print("\ntimes   said → heard")
    for said, heard, times in found:
        print(f"{times:5}   {said or '(nothing)'} → {heard or '(nothing)'}")
    return 0


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
