"""`asrattn tune-decoding MODEL DEV`: tune the decoding settings on dev and calibrate the word confidence."""

import argparse
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from asrattn import files
from asrattn.cli import options
from asrattn.data import manifest

if TYPE_CHECKING:
    from asrattn.config import JSONValue
    from asrattn.inference.recognizer import Recognizer
    from asrattn.inference.tune_decoding import EncodedSet, Trial

_log = logging.getLogger(__name__)


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Choose CTC weight, length bonus, length normalisation, language-model weights and beam size by the WER on "
        "dev; calibrate the word confidence on the hypotheses. Both are stored in the model file."
    )
    parser.add_argument("model", type=Path, metavar="MODEL", help="a run's model.safetensors")
    parser.add_argument(
        "dev", type=Path, metavar="DEV", help="utterances that are in no training or test set"
    )
    options.add_recognition(parser)
    parser.add_argument(
        "--rtf",
        type=options.positive_float,
        metavar="R",
        help="maximum CPU-seconds per second of audio (default: any)",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="another model file to write (default: MODEL)"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    utterances = manifest.read(args.dev)
    options.check_recognition(args)
    target = args.out or args.model
    files.make_folder(target.parent)

    from asrattn import checkpoint
    from asrattn.inference import tune_decoding
    from asrattn.report.plots import BeamPoint, plot_beam_sizes

    recognizer, decoding = options.load_recognizer(args)
    recognizer.decoding = decoding
    bar = options.progress_bar(utterances, len(utterances), "utterance", "encoding")
    cache = tune_decoding.encode(recognizer, bar)
    if len(cache.utterances) < len(utterances):
        _log.warning("%d long utterances were skipped", len(utterances) - len(cache.utterances))
    names = [fusion.name for fusion in recognizer.scorers]
    chosen, beams = tune_decoding.tune(
        recognizer, cache, args.rtf, lambda trial: print(format_trial(trial, names), flush=True)
    )
    if args.rtf and chosen.rtf > args.rtf:
        _log.warning("no beam size meets --rtf %g; the cheapest is used", args.rtf)
    print(f"chosen  {format_trial(chosen, names)}")
    card = recognizer.card | {"tuned": tuning_card(chosen, recognizer, args.dev)}
    card["doubts"] = tune_decoding.fit_thresholds(cache, chosen, recognizer.model.spelling).to_plain()
    card |= calibrate_confidence(recognizer, cache, chosen)
    decoding = replace(decoding, **{name: getattr(chosen.decoding, name) for name in TUNED_FIELDS})
    checkpoint.save(target, recognizer.model, recognizer.tokenizer, card, decoding)
    best, *points = [BeamPoint(t.decoding.beam_size, t.rtf, t.words.rate) for t in (chosen, *beams)]
    plot_beam_sizes(target.with_suffix(".beams.svg"), points, best, args.rtf)
    print(target)
    return 0


TUNED_FIELDS = ("beam_size", "ctc", "length_bonus", "length_norm")


def format_trial(trial: "Trial", names: Sequence[str]) -> str:
    """names: of the fused scorers."""
    settings = "  ".join(f"{name} {getattr(trial.decoding, name):g}" for name in TUNED_FIELDS)
    fused = "".join(f"  {name} {weight:g}" for name, weight in zip(names, trial.weights, strict=True))
    rates = (
        f"WER {100 * trial.words.rate:.2f} %  CER {100 * trial.characters.rate:.2f} %  RTF {trial.rtf:.4f}"
    )
    return f"{settings}{fused}   {rates}"


def tuning_card(chosen: "Trial", recognizer: "Recognizer", dev: Path) -> dict[str, "JSONValue"]:
    """The entry `tuned` of the card."""
    found: dict[str, JSONValue] = {
        "on": dev.name,
        "dev_wer": round(100 * chosen.words.rate, 2),
        "rtf": round(chosen.rtf, 4),
    }
    for fusion, weight in zip(recognizer.scorers, chosen.weights, strict=True):
        found[fusion.name] = weight
    return found


def calibrate_confidence(
    recognizer: "Recognizer", cache: "EncodedSet", chosen: "Trial"
) -> dict[str, "JSONValue"]:
    """The calibration, and its quality on held-out words, for the card; empty if it cannot be fitted."""
    from asrattn.errors import DataError
    from asrattn.inference import confidence, tune_decoding
    from asrattn.metrics.calibration import evaluate_confidence

    labelled = tune_decoding.label_confidence_features(recognizer, cache, chosen.hypotheses)
    words = [word for group in labelled.values() for word in group]
    try:
        calibration, held_out = confidence.fit_calibration(words), confidence.cross_validate(labelled)
    except DataError as error:
        _log.warning("%s", error)
        return {}
    before = evaluate_confidence(
        [(confidence.uncalibrated_confidence(features), correct) for features, correct in words]
    )
    after = evaluate_confidence(held_out)
    for quality, when in ((before, "uncalibrated"), (after, "calibrated, on held-out words")):
        print(f"confidence {when}: {quality.line()}")
    return {"confidence": calibration.to_plain(), "confidence_held_out": {**after.to_plain()}}
