"""`asrattn compare REF A B …`: significance of WER differences: intervals, two paired tests, changed words."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from asrattn.cli import error_rates, options
from asrattn.errors import ConfigError

if TYPE_CHECKING:
    from asrattn.data.manifest import Utterance
    from asrattn.metrics.significance import SignificanceResult, System

PAGE = "compare.html"
_MAX_CHANGES = 10  # words and speakers shown


class NamedSystem(NamedTuple):
    """A system on the command line: NAME=FILE,FILE… or FILE."""

    name: str
    files: tuple[Path, ...]


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Each system against the first one on the same utterances: the difference of their word error "
        "rates with its 95 % interval (paired bootstrap over speakers where at least eight are known, else "
        "utterances), a randomisation test and the matched-pairs sentence-segment test (MAPSSWE), with Holm's "
        "correction if several are compared; and which words and speakers changed. With several runs (seeds) of a "
        "system, the interval and a third test are over seeds too. Significant means: all tests are significant at "
        "the 5 % level."
    )
    parser.add_argument("reference", type=Path, help="a manifest, or lines of id and text (.jsonl)")
    parser.add_argument(
        "systems",
        type=_named,
        nargs="+",
        metavar="SYSTEM",
        help="hypotheses (.jsonl), the baseline first; several runs of one system: NAME=FILE,FILE…",
    )
    error_rates.add_normalize(parser, "normaliser of all texts (default: none)")
    error_rates.add_force(parser)
    parser.add_argument(
        "--changes",
        type=options.positive_int,
        default=_MAX_CHANGES,
        metavar="N",
        help=f"show the N words and speakers that changed most (default: {_MAX_CHANGES})",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help=f"write {PAGE} there: systems side by side, with texts"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from asrattn.metrics import references
    from asrattn.metrics.significance import compare_to_baseline

    if len(args.systems) < 2:
        raise ConfigError(
            "compare needs two systems or more; several runs of one are NAME=FILE,FILE and count as one"
        )
    if len({named.name for named in args.systems}) < len(args.systems):
        raise ConfigError("two systems have the same name; give them names, as in A=one.jsonl B=two.jsonl")
    utterances = references.read(args.reference)
    normalizer = args.normalize or "none"
    systems = [_system(named, utterances, args) for named in args.systems]
    baseline, *others = systems
    results = compare_to_baseline(baseline, others)
    if args.out:
        _write_page(args, systems, results, normalizer)
    if args.json:
        print(json.dumps(_plain(systems, results, normalizer), ensure_ascii=False))
        return 0
    for system in systems:
        print(system_line(system, normalizer))
    for result in results:
        print(significance_line(baseline.name, result))
    print(f"95 % intervals and the first test from resampling {results[0].paired.unit}", file=sys.stderr)
    for note in dict.fromkeys(note for result in results for note in result.notes):
        print(note, file=sys.stderr)
    for other in others:
        _print_changes(baseline, other, args.changes)
    return 0


def _write_page(
    args: argparse.Namespace,
    systems: Sequence["System"],
    results: Sequence["SignificanceResult"],
    normalizer: str,
) -> None:
    from asrattn.metrics import NORMALIZERS
    from asrattn.report.comparison import write_comparison

    n = len(systems[0].runs[0])
    about = (
        f"{args.reference.name}, {n} utterances; texts normalised by {NORMALIZERS[normalizer].fingerprint}."
    )
    write_comparison(args.out / PAGE, systems, results, about)
    print(args.out / PAGE, file=sys.stderr)


def _named(text: str) -> NamedSystem:
    name, equals, files = text.partition("=")
    if equals and not Path(text).exists():
        if not name or not all(files.split(",")):
            raise argparse.ArgumentTypeError(f"{text} is not NAME=FILE,FILE…")
        return NamedSystem(name, tuple(Path(file) for file in files.split(",")))
    return NamedSystem(Path(text).name.removesuffix(".jsonl"), (Path(text),))


def _system(named: NamedSystem, utterances: Sequence["Utterance"], args: argparse.Namespace) -> "System":
    from asrattn.metrics import NORMALIZERS, score_utterance
    from asrattn.metrics.significance import System

    form = NORMALIZERS[args.normalize or "none"]
    runs = []
    for file in named.files:
        texts = error_rates.match_hypotheses(utterances, args.reference, file, form.name, args.force).texts
        pairs = zip(utterances, texts, strict=True)
        runs.append(tuple(score_utterance(u.id, u.text, hyp, u.speaker, form) for u, hyp in pairs))
    return System(named.name, tuple(runs))


def system_line(system: "System", normalizer: str) -> str:
    """The result line of a system; with several runs their mean, and each of them."""
    from asrattn.metrics import NORMALIZERS, error_rate_interval, sum_counts
    from asrattn.metrics.result import format_rate

    counts = [sum_counts(row.words for row in rows) for rows in zip(*system.runs, strict=True)]
    whole, speakers = sum_counts(counts), [row.speaker for row in system.runs[0]]
    parts = [
        system.name,
        f"{len(counts)} utterances",
        f"{whole.words // len(system.runs)} words",
        format_rate("WER", whole.rate, error_rate_interval(counts, speakers)),
    ]
    if len(system.runs) > 1:
        rates = (f"{100 * sum_counts(row.words for row in run).rate:.1f}" for run in system.runs)
        parts.append(f"{len(system.runs)} runs: {', '.join(rates)}")
    return "   ".join([*parts, f"text {NORMALIZERS[normalizer].fingerprint}"])


def significance_line(baseline: str, result: "SignificanceResult") -> str:
    from asrattn.metrics.result import format_rate

    paired, test = result.paired, result.mapsswe
    return "   ".join(
        [
            f"{result.name} against {baseline}",
            format_rate("WER", paired.difference, result.interval),
            f"p {result.p_randomisation:.4f}",
            f"MAPSSWE W {test.w:.2f}, {test.segments} segments, p {result.p_mapsswe:.4f}",
            *([] if result.p_seeds is None else [f"over seeds p {result.p_seeds:.4f}"]),
            result.conclusion,
        ]
    )


def _print_changes(a: "System", b: "System", n: int) -> None:
    """Print the utterances, words and speakers that changed."""
    from asrattn.metrics import error_changes

    fixed, broken = error_changes.fixed_utterances(a, b), error_changes.broken_utterances(a, b)
    print(f"\n{b.name} against {a.name}   {len(fixed)} utterances fixed   {len(broken)} newly broken")
    words = error_changes.word_changes(a, b)
    if words:
        total_fixed, total_broken = sum(w.fixed for w in words), sum(w.broken for w in words)
        print(f"\n  fixed  broken   of   word ({total_fixed:g} fixed, {total_broken:g} newly broken)")
    for word in words[:n]:
        print(f"  {word.fixed:5.4g}  {word.broken:6.4g} {word.times:4}   {word.word}")
    speakers = error_changes.speaker_changes(a, b)
    if speakers:
        better = sum(s.after < s.before for s in speakers)
        print(f"\n  before   after  words   speaker ({better} better, {len(speakers) - better} worse)")
    for speaker in speakers[:n]:
        before, after = 100 * speaker.before, 100 * speaker.after
        print(f"  {before:4.1f} %  {after:4.1f} %  {speaker.words:5}   {speaker.speaker}")


def _plain(
    systems: Sequence["System"], results: Sequence["SignificanceResult"], normalizer: str
) -> dict[str, object]:
    """Everything as plain values; p as each test gives it, `holm` corrected for the number of systems."""
    from asrattn.metrics import NORMALIZERS, error_changes, sum_counts

    baseline, *others = systems
    return {
        "baseline": baseline.name,
        "normalizer": NORMALIZERS[normalizer].fingerprint,
        "systems": [
            {"name": s.name, "runs": [sum_counts(row.words for row in run).rate for run in s.runs]}
            for s in systems
        ],
        "comparisons": [
            {
                "name": v.name,
                **asdict(v.paired),
                "interval": v.interval,
                "seeds": v.seeds and asdict(v.seeds),
                "mapsswe": asdict(v.mapsswe) | {"w": options.finite_or_none(v.mapsswe.w)},
                "holm": {"p": v.p_randomisation, "mapsswe": v.p_mapsswe, "seeds": v.p_seeds},
                "verdict": v.conclusion,
                "notes": v.notes,
                "fixed": error_changes.fixed_utterances(baseline, other),
                "broken": error_changes.broken_utterances(baseline, other),
                "words": [asdict(word) for word in error_changes.word_changes(baseline, other)],
                "speakers": [asdict(speaker) for speaker in error_changes.speaker_changes(baseline, other)],
            }
            for v, other in zip(results, others, strict=True)
        ],
    }
