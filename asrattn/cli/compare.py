"""`asrattn compare REF A B …`: is B better than A? Difference with interval, two paired tests, and what changed."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from asrattn.cli import options, scored
from asrattn.errors import ConfigError

if TYPE_CHECKING:
    from asrattn.manifest import Utterance
    from asrattn.scoring.compare import System, Verdict

PAGE = "compare.html"
_CHANGES = 10  # words and speakers shown


class Named(NamedTuple):
    """A system on the command line: NAME=FILE,FILE… or FILE."""

    name: str
    files: tuple[Path, ...]


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Each system against the first one on the same utterances: the difference of their word error "
        "rates with its 95 % interval (paired bootstrap over speakers where at least eight are known, else "
        "utterances), a randomisation test and the matched-pairs sentence-segment test (MAPSSWE), with Holm's "
        "correction where several are compared; and which words and speakers changed. Different means: both "
        "tests say so at the 5 % level."
    )
    parser.add_argument("reference", type=Path, help="a manifest (.jsonl); its audio is not needed")
    parser.add_argument(
        "systems",
        type=_named,
        nargs="+",
        metavar="SYSTEM",
        help="hypotheses (.jsonl), the baseline first; several runs of one system: NAME=FILE,FILE…",
    )
    scored.add_normalize(parser, "what all texts go through first (default: nothing)")
    scored.add_force(parser)
    parser.add_argument(
        "--changes",
        type=options.positive,
        default=_CHANGES,
        metavar="N",
        help=f"show the N words and speakers that changed most (default: {_CHANGES})",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help=f"write {PAGE} there: the same side by side, and texts"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from asrattn import manifest
    from asrattn.scoring.compare import against

    if len(args.systems) < 2:
        raise ConfigError(
            "compare needs two systems or more; several runs of one are NAME=FILE,FILE and count as one"
        )
    if len({named.name for named in args.systems}) < len(args.systems):
        raise ConfigError("two systems have the same name; give them names, as in A=one.jsonl B=two.jsonl")
    utterances = manifest.read(args.reference)
    normalizer = args.normalize or "none"
    systems = [_system(named, utterances, args) for named in args.systems]
    baseline, *others = systems
    verdicts = against(baseline, others)
    if args.out:
        _write_page(args, systems, verdicts, normalizer)
    if args.json:
        print(json.dumps(_plain(systems, verdicts, normalizer), ensure_ascii=False))
        return 0
    for system in systems:
        print(system_line(system, normalizer))
    for verdict in verdicts:
        print(verdict_line(baseline.name, verdict))
    print(f"95 % intervals and the first test from resampling {verdicts[0].paired.unit}", file=sys.stderr)
    for other in others:
        _print_changes(baseline, other, args.changes)
    return 0


def _write_page(
    args: argparse.Namespace, systems: Sequence["System"], verdicts: Sequence["Verdict"], normalizer: str
) -> None:
    from asrattn.scoring import NORMALIZERS
    from asrattn.scoring.report.comparison import write_comparison

    n = len(systems[0].runs[0])
    about = (
        f"{args.reference.name}, {n} utterances; texts as {NORMALIZERS[normalizer].fingerprint} leaves them."
    )
    write_comparison(args.out / PAGE, systems, verdicts, about)
    print(args.out / PAGE, file=sys.stderr)


def _named(text: str) -> Named:
    name, equals, files = text.partition("=")
    if equals and not Path(text).exists():
        if not name or not all(files.split(",")):
            raise argparse.ArgumentTypeError(f"{text} is not NAME=FILE,FILE…")
        return Named(name, tuple(Path(file) for file in files.split(",")))
    return Named(Path(text).name.removesuffix(".jsonl"), (Path(text),))


def _system(named: Named, utterances: Sequence["Utterance"], args: argparse.Namespace) -> "System":
    from asrattn.scoring import NORMALIZERS, score
    from asrattn.scoring.compare import System

    form = NORMALIZERS[args.normalize or "none"]
    runs = []
    for file in named.files:
        texts = scored.matched(utterances, args.reference, file, form.name, args.force).texts
        pairs = zip(utterances, texts, strict=True)
        runs.append(tuple(score(u.id, u.text, heard, u.speaker, form) for u, heard in pairs))
    return System(named.name, tuple(runs))


def system_line(system: "System", normalizer: str) -> str:
    """The result of a system; of several runs the mean, with each of them."""
    from asrattn.scoring import NORMALIZERS, interval, total
    from asrattn.scoring.result import percent

    counts = [total(row.words for row in rows) for rows in zip(*system.runs, strict=True)]
    whole, speakers = total(counts), [row.speaker for row in system.runs[0]]
    parts = [
        system.name,
        f"{len(counts)} utterances",
        f"{whole.words // len(system.runs)} words",
        percent("WER", whole.rate, interval(counts, speakers)),
    ]
    if len(system.runs) > 1:
        rates = (f"{100 * total(row.words for row in run).rate:.1f}" for run in system.runs)
        parts.append(f"{len(system.runs)} runs: {', '.join(rates)}")
    return "   ".join([*parts, f"text {NORMALIZERS[normalizer].fingerprint}"])


def verdict_line(baseline: str, verdict: "Verdict") -> str:
    from asrattn.scoring.result import percent

    paired, test = verdict.paired, verdict.segments
    return "   ".join(
        [
            f"{verdict.name} against {baseline}",
            percent("WER", paired.difference, paired.interval),
            f"p {verdict.p_paired:.4f}",
            f"MAPSSWE W {test.w:.2f}, {test.segments} segments, p {verdict.p_segments:.4f}",
            verdict.word,
        ]
    )


def _print_changes(a: "System", b: "System", n: int) -> None:
    """Utterances, words and speakers that changed."""
    from asrattn.scoring import changes

    fixed, broken = changes.fixed_utterances(a, b), changes.broken_utterances(a, b)
    print(f"\n{b.name} against {a.name}   {len(fixed)} utterances fixed   {len(broken)} newly broken")
    words = changes.word_changes(a, b)
    if words:
        total_fixed, total_broken = sum(w.fixed for w in words), sum(w.broken for w in words)
        print(f"\n  fixed  broken   of   word ({total_fixed:g} fixed, {total_broken:g} newly broken)")
    for word in words[:n]:
        print(f"  {word.fixed:5.4g}  {word.broken:6.4g} {word.times:4}   {word.word}")
    speakers = changes.speaker_changes(a, b)
    if speakers:
        better = sum(s.after < s.before for s in speakers)
        print(f"\n  before   after  words   speaker ({better} better, {len(speakers) - better} worse)")
    for speaker in speakers[:n]:
        before, after = 100 * speaker.before, 100 * speaker.after
        print(f"  {before:4.1f} %  {after:4.1f} %  {speaker.words:5}   {speaker.speaker}")


def _plain(systems: Sequence["System"], verdicts: Sequence["Verdict"], normalizer: str) -> dict[str, object]:
    """Everything as plain values; p as each test gives it, `holm` corrected for the number of systems."""
    from asrattn.scoring import NORMALIZERS, changes, total

    baseline, *others = systems
    return {
        "baseline": baseline.name,
        "normalizer": NORMALIZERS[normalizer].fingerprint,
        "systems": [
            {"name": s.name, "runs": [total(row.words for row in run).rate for run in s.runs]}
            for s in systems
        ],
        "comparisons": [
            {
                "name": v.name,
                **asdict(v.paired),
                "mapsswe": asdict(v.segments) | {"w": options.finite(v.segments.w)},
                "holm": {"p": v.p_paired, "mapsswe": v.p_segments},
                "verdict": v.word,
                "fixed": changes.fixed_utterances(baseline, other),
                "broken": changes.broken_utterances(baseline, other),
                "words": [asdict(word) for word in changes.word_changes(baseline, other)],
                "speakers": [asdict(speaker) for speaker in changes.speaker_changes(baseline, other)],
            }
            for v, other in zip(verdicts, others, strict=True)
        ],
    }
