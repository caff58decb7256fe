"""`asrattn pseudo-label MODEL MANIFEST --out FILE.jsonl`: label utterances with a model's transcripts, for training."""

import argparse
import json
import logging
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from asrattn import files
from asrattn.cli import options
from asrattn.data import manifest
from asrattn.errors import ConfigError, DataError

if TYPE_CHECKING:
    from asrattn.config import JSONValue
    from asrattn.inference.pseudo_label import PseudoLabels

_log = logging.getLogger(__name__)
_MIN_CONFIDENCE = 0.7


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Write a manifest with the model's transcripts, without those that are probably wrong: for distillation of a "
        "larger model, or for training on audio without transcripts."
    )
    parser.add_argument("model", type=Path, metavar="MODEL", help="a run's model.safetensors")
    parser.add_argument(
        "manifest", type=Path, metavar="MANIFEST", help="utterances (.jsonl); their texts may be empty"
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FILE.jsonl",
        help="the new manifest; beside it FILE.dropped.tsv and FILE.json, the provenance",
    )
    parser.add_argument(
        "--min-confidence",
        type=options.fraction,
        default=_MIN_CONFIDENCE,
        metavar="X",
        help=f"least mean confidence of an utterance's words, 0 to 1 (default: {_MIN_CONFIDENCE:g})",
    )
    options.add_recognition(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    utterances = manifest.read(args.manifest)
    _check_out(args.out, args.manifest)
    recognizer, decoding = options.load_recognizer(args)

    from asrattn.cli.evaluation_result import EvaluatedSet, evaluation_card
    from asrattn.inference import pseudo_label

    progress = partial(options.progress_bar, total=len(utterances), unit="utterance")
    found = recognizer.evaluate(utterances, decoding, progress=progress, words=True)
    labels = pseudo_label.select_labels(utterances, found.outcomes, args.min_confidence)
    pseudo_label.write_dropped(args.out.with_suffix(".dropped.tsv"), labels.dropped)
    if not labels.kept:
        raise DataError(
            f"{args.out}: not written, no transcript is usable ({_format_counts(labels)}); see "
            f"{args.out.with_suffix('.dropped.tsv')}, or lower --min-confidence"
        )
    manifest.write(args.out, labels.kept)
    source = EvaluatedSet(args.manifest.stem, utterances, found)
    card = _card(labels, args) | evaluation_card(source, recognizer, decoding, args)
    files.write_text(args.out.with_suffix(".json"), json.dumps(card, ensure_ascii=False, indent=2) + "\n")
    return _report(labels, args.out)


def _check_out(out: Path, source: Path) -> None:
    """Raises ConfigError for a place that cannot be written, or that is the manifest which is read."""
    if out.suffix != ".jsonl":
        raise ConfigError(f"--out {out}: is a manifest; give it a name that ends with .jsonl")
    files.make_folder(out.parent)
    if out.exists() and out.samefile(source):
        raise ConfigError(f"--out {out}: is the manifest that is read; name another file")


def _card(labels: "PseudoLabels", args: argparse.Namespace) -> "dict[str, JSONValue]":
    return {
        "min_confidence": args.min_confidence,
        "kept": len(labels.kept),
        "kept_hours": round(labels.seconds / 3600, 3),
        "dropped": dict(labels.counts()),
    }


def _report(labels: "PseudoLabels", out: Path) -> int:
    """Print what was kept, log the failures; the status."""
    failures = [each for each in labels.dropped if each.reason == "failed"]
    for failure in failures:
        _log.error("asrattn: %s: %s", failure.id, failure.detail)
    total = len(labels.kept) + len(labels.dropped)
    rest = f"; dropped: {_format_counts(labels)}" if labels.dropped else ""
    print(f"{out}: {len(labels.kept)} of {total} utterances, {labels.seconds / 3600:.2f} h{rest}")
    return 1 if failures else 0


def _format_counts(labels: "PseudoLabels") -> str:
    return ", ".join(f"{count} {reason}" for reason, count in labels.counts().items())
