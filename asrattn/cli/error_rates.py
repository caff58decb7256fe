"""Error rates of hypotheses against references: matching, printing and JSON, for the commands that score."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from asrattn.errors import DataError

if TYPE_CHECKING:
    from asrattn.data.manifest import Utterance
    from asrattn.metrics import ScoredUtterance

_MARKS = {"equal": "", "substitute": "S", "delete": "D", "insert": "I"}


NORMALIZER_NAMES = (
    "lower",
    "plain",
    "basic",
    "turkish",
    "english",
)  # importing the functions would load numpy


class MatchedHypotheses(NamedTuple):
    """A hypothesis for each utterance; `unnormalized` if none went through a normaliser yet."""

    texts: list[str]
    unnormalized: bool


def add_normalize(parser: argparse.ArgumentParser, help_text: str) -> None:
    parser.add_argument(
        "--normalize",
        choices=NORMALIZER_NAMES,
        help=f"{help_text}: lower (case), plain (and punctuation), basic (any script; "
        "Chinese and the like by character), turkish (basic, with the case of I in Turkish and Azerbaijani), english "
        "(basic, and numbers, contractions, spelling variants)",
    )


def add_force(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--force",
        action="store_true",
        help="also score hypotheses that went through another normaliser (see their fingerprints)",
    )


def add_slices(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--by",
        action="append",
        default=[],
        metavar="FIELD",
        help="also a line for each slice, the worst first: speaker, length, rate (words a second), a field or tag of "
        "the manifest such as snr; may be given again",
    )
    parser.add_argument(
        "--keywords", type=Path, metavar="FILE", help="recall of the phrases in this file, one a line"
    )


def check_slices(sets: Mapping[str, Sequence["Utterance"]], args: argparse.Namespace) -> None:
    """Before the first utterance is decoded: raises DataError for a field of --by that no utterance of a set has, and
    for a file of keywords that cannot be read or holds none."""
    from asrattn.metrics import NORMALIZERS, keywords, slices

    for name, utterances in sets.items():
        for field in args.by:
            slices.check_field(name, utterances, field)
    if args.keywords:
        keywords.read(args.keywords, NORMALIZERS["none"])


def match_hypotheses(
    utterances: Sequence["Utterance"],
    reference: Path,
    hypothesis: Path,
    normalizer: str = "none",
    force: bool = False,
) -> MatchedHypotheses:
    """The hypothesis of each utterance; missing ones are empty, and reported.

    Raises DataError for hypotheses of utterances that are not in the reference, and, unless forced, for texts that
    went through another normaliser than this one.
    """
    from asrattn.metrics import NORMALIZERS, hypothesis_file

    lines = hypothesis_file.read(hypothesis)
    wanted = NORMALIZERS[normalizer].fingerprint
    others = {line.normalizer for line in lines} - {"", wanted}
    if others and not force:
        raise DataError(
            f"{hypothesis}: its texts went through {', '.join(sorted(others))}, this score's go through {wanted}; "
            "the two cannot be compared: choose the same with --normalize, or --force"
        )
    texts = {line.id: line.text for line in lines}
    known = {utterance.id for utterance in utterances}
    unknown = [name for name in texts if name not in known]
    if unknown:
        raise DataError(
            f"{hypothesis}: {_some(unknown)} not in {reference}; score against the set that was decoded"
        )
    missing = [utterance.id for utterance in utterances if utterance.id not in texts]
    if missing:
        print(
            f"{hypothesis}: {_some(missing)} missing; each counts as deleted, word by word", file=sys.stderr
        )
    found = [texts.get(utterance.id, "") for utterance in utterances]
    return MatchedHypotheses(found, unnormalized=not any(line.normalizer for line in lines))


def print_alignment(row: "ScoredUtterance") -> None:
    print(f"\n{row.id}   {row.words.errors} errors in {row.words.words} words")
    print("\n".join(alignment_lines(row)))


def print_slices(
    name: str,
    utterances: Sequence["Utterance"],
    rows: Sequence["ScoredUtterance"],
    fields: Sequence[str],
    normalizer: str,
) -> None:
    """A line for each of several sets in a manifest, and for each slice by these fields."""
    from asrattn.metrics import NORMALIZERS, slices

    for field in [*(["set"] if slices.has_several_sets(utterances) and "set" not in fields else []), *fields]:
        for part in slices.worst_slices(name, utterances, rows, field, NORMALIZERS[normalizer]):
            print(part.line())


def print_keywords(name: str, rows: Sequence["ScoredUtterance"], file: Path, normalizer: str) -> None:
    from asrattn.metrics import NORMALIZERS, keywords

    together, each = keywords.keyword_recall(keywords.read(file, NORMALIZERS[normalizer]), rows)
    print(f"{together.line(f'{name} keywords')}   text {NORMALIZERS[normalizer].fingerprint}")
    for result in each:
        print(result.line(f"  {result.phrase}"))


def result_to_plain(
    name: str,
    utterances: Sequence["Utterance"],
    rows: Sequence["ScoredUtterance"],
    args: argparse.Namespace,
    normalizer: str,
    rtf: float | None = None,
) -> dict[str, object]:
    """A result as plain values, with the slices and keywords of `add_slices`."""
    from asrattn.metrics import NORMALIZERS, keywords, slices, summarize

    form = NORMALIZERS[normalizer]
    found = summarize(name, rows, rtf, normalizer=form).to_plain()
    for field in args.by:
        parts = slices.worst_slices(name, utterances, rows, field, form)
        found[f"by_{field}"] = [
            part.result.to_plain() | {"set": part.label, "few_words": part.has_few_words} for part in parts
        ]
    if args.keywords:
        together, each = keywords.keyword_recall(keywords.read(args.keywords, form), rows)
        found["keywords"] = [result.to_plain() for result in (together, *each)]
    return found


def alignment_lines(row: "ScoredUtterance") -> list[str]:
    """Reference above hypothesis, aligned by word; below each error S, D or I: substitution, deletion, insertion."""
    from asrattn.metrics import align
    from asrattn.metrics.wer import split_words

    columns = []
    for kind, ref, hyp in align(split_words(row.reference), split_words(row.hypothesis)):
        width = max(len(ref), len(hyp))
        columns.append([f"{text:{width}}" for text in (ref, hyp, _MARKS[kind])])
    return [
        f"  {label} {' '.join(cells)}".rstrip()
        for label, cells in zip(("ref:", "hyp:", "    "), zip(*columns, strict=True), strict=True)
    ]


def _some(ids: Sequence[str]) -> str:
    shown = ", ".join(ids[:3]) + (", …" if len(ids) > 3 else "")
    return f"{len(ids)} utterance{'s' if len(ids) > 1 else ''} ({shown})"
