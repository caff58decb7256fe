"""`asrattn rover REF? A B C`: combine the hypotheses of several systems by vote or by confidence (ROVER)."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from asrattn.cli import error_rates, options
from asrattn.cli.compare import significance_line, system_line
from asrattn.errors import ConfigError, DataError

if TYPE_CHECKING:
    from asrattn.metrics.hypothesis_file import HypothesisLine

_VOTE_WEIGHT = 0.5  # of the votes against the confidence


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "ROVER (Fiscus, 1997): the systems are aligned to the first one, the best, and vote on every word. "
        "With a manifest before them: result lines of all and of the combination, and whether it is better than the "
        "first. Without one: the combined hypotheses."
    )
    parser.add_argument(
        "files",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="a manifest, if there is one, then hypotheses (.jsonl)",
    )
    parser.add_argument(
        "--method",
        choices=["vote", "confidence"],
        default="vote",
        help="count the systems, or their confidence in the words as well (default: vote)",
    )
    parser.add_argument(
        "--votes",
        type=options.fraction,
        default=_VOTE_WEIGHT,
        metavar="W",
        help=f"with confidence: weight of the votes, 0 to 1 (default: {_VOTE_WEIGHT})",
    )
    parser.add_argument(
        "--null-confidence",
        type=options.fraction,
        default=0.7,
        metavar="C",
        help="confidence of the null word, where a system has no word and another has one, 0 to 1 (default: 0.7)",
    )
    error_rates.add_normalize(parser, "normaliser of all texts (default: none)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the combined hypotheses there")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from asrattn.metrics import hypothesis_file

    reference, files = (args.files[0], args.files[1:]) if _is_manifest(args.files[0]) else (None, args.files)
    if len(files) < 2:
        raise ConfigError("rover combines the hypotheses of two systems or more")
    systems = [{line.id: line for line in hypothesis_file.read(file)} for file in files]
    ids = _ids(reference, files, systems)
    lines = [_combined(args, name, [system.get(name) for system in systems]) for name in ids]
    if args.out:
        hypothesis_file.write(args.out, lines)
    elif not reference:
        for line in lines:
            print(json.dumps({"id": line.id, "text": line.text}, ensure_ascii=False))
    if reference:
        _print_results(args, reference, files, {line.id: line.text for line in lines})
    return 0


def _is_manifest(path: Path) -> bool:
    """Whether the first line has audio, which hypotheses have not."""
    from asrattn.data import manifest

    _, first = next(
        manifest.read_json_lines(path, "manifest or file of hypotheses", "utterance", "name one that does"),
        (0, {}),
    )
    return "audio" in first


def _ids(
    reference: Path | None, files: Sequence[Path], systems: Sequence[Mapping[str, "HypothesisLine"]]
) -> list[str]:
    """The utterances to combine: those of the manifest, else those of any system. Missing ones are reported."""
    from asrattn.data import manifest

    decoded = list(dict.fromkeys(name for system in systems for name in system))
    ids = [u.id for u in manifest.read(reference)] if reference else decoded
    unknown = set(decoded) - set(ids)
    if unknown:
        raise DataError(
            f"{len(unknown)} utterances ({min(unknown)}, …) are not in {reference}; combine those of one set"
        )
    for file, system in zip(files, systems, strict=True):
        missing = sum(name not in system for name in ids)
        if missing:
            print(f"{file}: {missing} utterances missing; counted as empty", file=sys.stderr)
    return ids


def _combined(
    args: argparse.Namespace, name: str, hypotheses: Sequence["HypothesisLine | None"]
) -> "HypothesisLine":
    from asrattn.metrics import NORMALIZERS, hypothesis_file, rover

    form = NORMALIZERS[args.normalize or "none"]
    systems = []
    for line in hypotheses:
        text = form(line.text) if line else ""
        confidence = line.confidence if line else ()
        if args.method == "confidence" and text and not confidence:
            raise DataError(
                f"{name}: a hypothesis has no confidence; give it one, or combine with --method vote"
            )
        if len(confidence) not in (1, len(text.split())):  # the normaliser has split or joined words
            confidence = (sum(confidence) / len(confidence),) if confidence else ()
        systems.append(rover.votes_from_text(text, confidence))
    weight = 1.0 if args.method == "vote" else args.votes
    text = rover.combine(systems, weight, args.null_confidence)
    return hypothesis_file.HypothesisLine(name, text, normalizer=form.fingerprint if args.normalize else "")


def _print_results(
    args: argparse.Namespace, reference: Path, files: Sequence[Path], texts: Mapping[str, str]
) -> None:
    """A line for each system, for the combination, and for its comparison with the first."""
    from asrattn.data import manifest
    from asrattn.metrics import NORMALIZERS, score_utterance
    from asrattn.metrics.significance import System, compare_to_baseline

    form = NORMALIZERS[args.normalize or "none"]
    utterances = manifest.read(reference)
    by_system = {
        file.name.removesuffix(".jsonl"): error_rates.match_hypotheses(
            utterances, reference, file, form.name
        ).texts
        for file in files
    }
    by_system["rover"] = [texts[u.id] for u in utterances]
    systems = [
        System(
            name,
            (
                tuple(
                    score_utterance(u.id, u.text, t, u.speaker, form)
                    for u, t in zip(utterances, each, strict=True)
                ),
            ),
        )
        for name, each in by_system.items()
    ]
    for system in systems:
        print(system_line(system, form.name))
    (result,) = compare_to_baseline(systems[0], [systems[-1]])
    print(significance_line(systems[0].name, result))
