"""`asrattn score`: WER and CER of a file of hypotheses against a manifest. No model and no torch."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from asrattn.cli import error_rates, options

if TYPE_CHECKING:
    from asrattn.data.manifest import Utterance
    from asrattn.metrics import ScoredUtterance


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "WER, CER, sentence error (SER), substitutions, deletions and insertions (S, D, I: shares of the "
        "reference's words) of hypotheses against references, with 95 % intervals; needs no model."
    )
    parser.add_argument("reference", type=Path, help="a manifest, or lines of id and text (.jsonl)")
    parser.add_argument("hypothesis", type=Path, help='JSON lines, {"id": …, "text": …} one utterance a line')
    error_rates.add_normalize(parser, "a second line, with both texts normalised")
    error_rates.add_force(parser)
    error_rates.add_slices(parser)
    parser.add_argument(
        "--worst", type=options.positive_int, default=0, metavar="N", help="show the N worst utterances"
    )
    parser.add_argument(
        "--confusions",
        type=options.positive_int,
        default=0,
        metavar="N",
        help="show the N most frequent confusions of words",
    )
    parser.add_argument("--json", action="store_true", help="the results as one JSON list instead of lines")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="write the normalised hypotheses, with the normaliser's fingerprint (.jsonl)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from asrattn.metrics import confusions, references, resampling_unit, worst_utterances

    utterances = references.read(args.reference)
    normalizer = args.normalize or "none"
    texts, raw = error_rates.match_hypotheses(
        utterances, args.reference, args.hypothesis, normalizer, args.force
    )
    names = ["none", normalizer] if args.normalize and raw else [normalizer]
    if args.json:
        plain = [
            error_rates.result_to_plain(
                args.reference.stem, utterances, _rows(utterances, texts, name), args, name
            )
            for name in names
        ]
        print(json.dumps(plain, ensure_ascii=False))
        return 0
    for name in names:
        rows = _print_set(args, utterances, texts, name)
    print(f"95 % intervals from resampling {resampling_unit([row.speaker for row in rows])}", file=sys.stderr)
    if args.out:
        _write(args.out, rows, normalizer)
    for row in worst_utterances(rows, args.worst):
        error_rates.print_alignment(row)
    found = confusions(rows, args.confusions)
    if found:
        print("\ncount   ref → hyp")
    for ref, hyp, count in found:
        print(f"{count:5}   {ref or '(nothing)'} → {hyp or '(nothing)'}")
    return 0


def _print_set(
    args: argparse.Namespace, utterances: Sequence["Utterance"], texts: Sequence[str], normalizer: str
) -> list["ScoredUtterance"]:
    from asrattn.metrics import NORMALIZERS, summarize

    rows = _rows(utterances, texts, normalizer)
    name = args.reference.stem if normalizer == "none" else f"{args.reference.stem} ({normalizer})"
    result = summarize(name, rows, normalizer=NORMALIZERS[normalizer])
    print(result.line())
    error_rates.print_slices(name, utterances, rows, args.by, normalizer)
    if args.keywords:
        error_rates.print_keywords(name, rows, args.keywords, normalizer)
    return rows


def _rows(
    utterances: Sequence["Utterance"], texts: Sequence[str], normalizer: str
) -> list["ScoredUtterance"]:
    from asrattn.metrics import NORMALIZERS, score_utterance

    pairs = zip(utterances, texts, strict=True)
    return [score_utterance(u.id, u.text, hyp, u.speaker, NORMALIZERS[normalizer]) for u, hyp in pairs]


def _write(path: Path, rows: Sequence["ScoredUtterance"], normalizer: str) -> None:
    from asrattn.metrics import NORMALIZERS, hypothesis_file

    form = NORMALIZERS[normalizer].fingerprint
    hypothesis_file.write(
        path, [hypothesis_file.HypothesisLine(r.id, r.hypothesis, normalizer=form) for r in rows]
    )
