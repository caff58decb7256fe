"""`asrattn tune MODEL DEV`: the search's settings and the confidence of its words, chosen on dev, kept in the model."""

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
        "Choose CTC weight, length bonus, normalisation, the weights of language models and the beam by "
        "the WER on dev; calibrate the confidence of words on what is heard then. Both become the model's own."
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
        help="most CPU-seconds for a second of audio (default: any)",
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

    recognizer, search = options.load_recognizer(args)
    recognizer.decoding = search
    bar = options.progress_bar(utterances, len(utterances), "utterance", "encoding")
    cache = tune_decoding.encode(recognizer, bar)
    if len(cache.utterances) < len(utterances):
        _log.warning("%d long utterances were left out", len(utterances) - len(cache.utterances))
    names = [fusion.name for fusion in recognizer.scorers]
    chosen, beams = tune_decoding.tune(
        recognizer, cache, args.rtf, lambda trial: print(format_trial(trial, names), flush=True)
    )
    if args.rtf and chosen.rtf > args.rtf:
        _log.warning("no beam keeps to --rtf %g; the cheapest is taken", args.rtf)
    print(f"chosen  {format_trial(chosen, names)}")
    card = recognizer.card | {"tuned": tuning_card(chosen, recognizer, args.dev)}
    card["doubts"] = tune_decoding.fit_thresholds(cache, chosen).to_plain()
    card |= calibrate_confidence(recognizer, cache, chosen)
    search = replace(search, **{name: getattr(chosen.decoding, name) for name in TUNED_FIELDS})
    checkpoint.save(target, recognizer.model, recognizer.tokenizer, card, search)
    tune_decoding.plot_beam_sizes(beams, chosen, args.rtf, target.with_suffix(".beams.svg"))
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
    """For the card."""
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
    """The calibration, with what it is worth on words it has not seen; nothing where it cannot be learned."""
    from asrattn.errors import DataError
    from asrattn.inference import confidence, tune_decoding

    found = tune_decoding.label_confidence_features(recognizer, cache, chosen.hypotheses)
    words = [word for group in found.values() for word in group]
    try:
        calibration, unseen = confidence.fit_calibration(words), confidence.cross_validate(found)
    except DataError as error:
        _log.warning("%s", error)
        return {}
    before = confidence.evaluate_confidence(
        [(confidence.uncalibrated_confidence(evidence), truth) for evidence, truth in words]
    )
    after = confidence.evaluate_confidence(unseen)
    for quality, when in ((before, "as it was"), (after, "calibrated, on words that were held out")):
        print(f"confidence {when}: {quality.line()}")
    return {"confidence": calibration.to_plain(), "confidence_held_out": {**after.to_plain()}}
