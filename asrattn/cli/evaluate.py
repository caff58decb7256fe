"""`asrattn evaluate MODEL MANIFEST…`: word and character error rates (WER, CER) of a model on whole sets."""

import argparse
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from asrattn import files
from asrattn.cli import error_rates, evaluation_result, options, report_media
from asrattn.cli.evaluation_result import EvaluatedSet
from asrattn.errors import ConfigError
from asrattn.sharding import UNSHARDED, JobShard

if TYPE_CHECKING:
    from asrattn.config import JSONValue
    from asrattn.data.manifest import Utterance
    from asrattn.inference.recognizer import Recognizer
    from asrattn.metrics import ScoredUtterance

_log = logging.getLogger(__name__)
_NUM_WORST = 10  # utterances in the report without --worst
_NUM_RANDOM, _SEED = 6, 0  # random utterances in the report


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "One line for each manifest: WER and CER with 95 % intervals, and the real-time factor."
    )
    parser.add_argument("model", type=Path, metavar="MODEL", help="a run's model.safetensors")
    parser.add_argument("manifests", nargs="+", type=Path, metavar="MANIFEST", help="utterances (.jsonl)")
    options.add_recognition(parser)
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="write NAME.hypotheses.jsonl, NAME.result.json and report.html there",
    )
    parser.add_argument("--json", action="store_true", help="one line of JSON for each set, with its card")
    error_rates.add_normalize(parser, "a second line, with both texts normalised")
    error_rates.add_slices(parser)
    parser.add_argument(
        "--worst",
        type=options.positive_int,
        metavar="N",
        help="show the N worst utterances, also in the report",
    )
    options.add_shard(
        parser,
        "decode every N-th utterance only, from the I-th on, to NAME.hypotheses.I-of-N.jsonl under --out",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    if args.shard != UNSHARDED and not args.out:
        raise ConfigError("--shard writes the hypotheses of one shard; name their folder with --out DIR")
    sets = _read(args.manifests, args.shard)
    error_rates.check_slices(sets if args.shard == UNSHARDED else {}, args)
    if args.out:
        files.make_folder(args.out)
    recognizer, decoding = options.load_recognizer(args)
    evaluated, cards, failed = [], {}, 0
    for name, utterances in sets.items():
        progress = partial(options.progress_bar, total=len(utterances), unit="utterance", name=name)
        each = EvaluatedSet(
            name,
            utterances,
            recognizer.evaluate(utterances, decoding, progress=progress, words=bool(args.out)),
        )
        failed += _log_failures(each)
        written = evaluation_result.write_hypotheses(args.out, each, args.shard) if args.out else None
        if args.shard != UNSHARDED:
            print(written)  # no rates of a single shard
            continue
        evaluated.append(each)
        cards[f"Evaluation of {name}"] = card = evaluation_result.evaluation_card(
            each, recognizer, decoding, args
        )
        _results(each, card, args)
    if args.worst and not args.json:
        _print_worst(_rows(evaluated, args), args.worst)
    if args.out and evaluated:
        cards["Model"] = recognizer.card
        _write_report(args, recognizer, evaluated, _rows(evaluated, args), cards)
    return 1 if failed else 0


def _results(evaluated: EvaluatedSet, card: dict[str, "JSONValue"], args: argparse.Namespace) -> None:
    """Write a result to a file, and to stdout as lines or as JSON."""
    line = evaluation_result.result_to_json(evaluated, card, args) if args.out or args.json else ""
    if args.out:
        files.write_text(args.out / f"{evaluated.name}.result.json", line + "\n")
    if args.json:
        print(line, flush=True)
    else:
        _print_results(evaluated, args)


def _rows(evaluated: Sequence[EvaluatedSet], args: argparse.Namespace) -> list["ScoredUtterance"]:
    """The scored utterances of all sets; with several sets, the name of the set is a prefix of the id."""
    rows = [(each.name, row) for each in evaluated for row in each.rows(args.normalize or "none")]
    return [replace(row, id=f"{name}/{row.id}") if len(evaluated) > 1 else row for name, row in rows]


def _read(manifests: Sequence[Path], part: JobShard) -> dict[str, list["Utterance"]]:
    """Read all sets before the first is decoded: errors in the last one are reported at once."""
    from asrattn.data import manifest

    sets = {path.stem: list(part.select(manifest.read(path))) for path in manifests}
    if len(sets) < len(manifests):
        raise ConfigError("two of the manifests have the same name; evaluate them one after the other")
    return sets


def _log_failures(evaluated: EvaluatedSet) -> int:
    """Log which utterances failed, and the cost of the set; return the number of failures."""
    from asrattn.inference.transcript import Failure

    outcomes, audio, wall, cpu, _ = evaluated.evaluation
    failures = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    for failure in failures:
        _log.error("asrattn: %s: %s", failure.id, failure.message)
    if failures:
        _log.error(
            "asrattn: %s: %d of %d utterances count as deleted", evaluated.name, len(failures), len(outcomes)
        )
    _log.info("%s: %.1f s of audio in %.1f s, %.1f CPU-seconds", evaluated.name, audio, wall, cpu)
    return len(failures)


def _print_results(evaluated: EvaluatedSet, args: argparse.Namespace) -> None:
    """A line for the set and for each requested slice; a second one normalised, if requested."""
    for result, normalizer in zip(evaluated.results(args.normalize), ("none", args.normalize), strict=False):
        print(result.line(), flush=True)
        rows = evaluated.rows(normalizer)
        error_rates.print_slices(result.name, evaluated.utterances, rows, args.by, normalizer)
        if args.keywords:
            error_rates.print_keywords(result.name, rows, args.keywords, normalizer)


def _print_worst(rows: Sequence["ScoredUtterance"], n: int) -> None:
    from asrattn.metrics import worst_utterances

    for row in worst_utterances(rows, n):
        error_rates.print_alignment(row)


def _write_report(
    args: argparse.Namespace,
    recognizer: "Recognizer",
    evaluated: Sequence[EvaluatedSet],
    rows: Sequence["ScoredUtterance"],
    cards: Mapping[str, Mapping[str, "JSONValue"]],
) -> None:
    from asrattn.metrics import NORMALIZERS, slices, worst_utterances
    from asrattn.report import sample_utterances, write_report

    n = args.worst or _NUM_WORST
    utterances = [u for each in evaluated for u in each.utterances]
    texts = [text for each in evaluated for text in each.texts]
    shown = {row.id for row in (*worst_utterances(rows, n), *sample_utterances(rows, _NUM_RANDOM, _SEED))}
    found = {
        row.id: report_media.load_media(recognizer, utterance, text)
        for row, utterance, text in zip(rows, utterances, texts, strict=True)
        if row.id in shown
    }
    estimated = not any("snr" in u.tags for u in utterances)
    write_report(
        args.out / "report.html",
        [result for each in evaluated for result in each.results(args.normalize)],
        rows,
        report_media.add_snr_tags(utterances, recognizer.rate) if estimated else utterances,
        cards={name: options.format_card(card) for name, card in cards.items()},
        media_by_id={name: each for name, each in found.items() if each},
        word_confidences=[pair for each in evaluated for pair in each.word_confidences()],
        fields=[*(["set"] if slices.has_several_sets(utterances) else []), *args.by],
        snr_estimated=estimated,
        normalizer=NORMALIZERS[args.normalize or "none"],
        n_worst=n,
        n_random=_NUM_RANDOM,
        seed=_SEED,
    )
    _log.info("%s", args.out / "report.html")
