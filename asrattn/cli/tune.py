"""`asrattn tune MODEL DEV`: the search's settings and the confidence of its words, chosen on dev, kept in the model."""

import argparse
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from asrattn import files, manifest
from asrattn.cli import options

if TYPE_CHECKING:
    from asrattn.config import Plain
    from asrattn.recognizer import Recognizer
    from asrattn.tuning import Cache, Trial

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
        type=options.above_zero,
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

    from asrattn import checkpoint, tuning

    recognizer, search = options.recognizer(args)
    recognizer.search = search
    bar = options.bar(utterances, len(utterances), "utterance", "encoding")
    cache = tuning.encode(recognizer, bar)
    if len(cache.utterances) < len(utterances):
        _log.warning("%d long utterances were left out", len(utterances) - len(cache.utterances))
    names = [fusion.name for fusion in recognizer.scorers]
    chosen, beams = tuning.tune(
        recognizer, cache, args.rtf, lambda trial: print(line(trial, names), flush=True)
    )
    if args.rtf and chosen.rtf > args.rtf:
        _log.warning("no beam keeps to --rtf %g; the cheapest is taken", args.rtf)
    print(f"chosen  {line(chosen, names)}")
    card = recognizer.card | {"tuned": told(chosen, recognizer, args.dev)}
    card["doubts"] = tuning.doubts(cache, chosen).to_plain()
    card |= calibrate(recognizer, cache, chosen)
    search = replace(search, **{name: getattr(chosen.search, name) for name in CHOSEN})
    checkpoint.save(target, recognizer.model, recognizer.tokenizer, card, search)
    tuning.draw(beams, chosen, args.rtf, target.with_suffix(".beams.svg"))
    print(target)
    return 0


CHOSEN = ("beam", "ctc", "length_bonus", "normalize")


def line(trial: "Trial", names: Sequence[str]) -> str:
    """names: of the fused scorers."""
    settings = "  ".join(f"{name} {getattr(trial.search, name):g}" for name in CHOSEN)
    fused = "".join(f"  {name} {weight:g}" for name, weight in zip(names, trial.weights, strict=True))
    rates = (
        f"WER {100 * trial.words.rate:.2f} %  CER {100 * trial.characters.rate:.2f} %  RTF {trial.rtf:.4f}"
    )
    return f"{settings}{fused}   {rates}"


def told(chosen: "Trial", recognizer: "Recognizer", dev: Path) -> dict[str, "Plain"]:
    """For the card."""
    found: dict[str, Plain] = {
        "on": dev.name,
        "dev_wer": round(100 * chosen.words.rate, 2),
        "rtf": round(chosen.rtf, 4),
    }
    for fusion, weight in zip(recognizer.scorers, chosen.weights, strict=True):
        found[fusion.name] = weight
    return found


def calibrate(recognizer: "Recognizer", cache: "Cache", chosen: "Trial") -> dict[str, "Plain"]:
    """The calibration, with what it is worth on words it has not seen; nothing where it cannot be learned."""
    from asrattn import tuning
    from asrattn.errors import DataError
    from asrattn.scoring import confidence

    found = tuning.evidence(recognizer, cache, chosen.heard)
    words = [word for group in found.values() for word in group]
    try:
        calibration, unseen = confidence.fit(words), confidence.held_out(found)
    except DataError as error:
        _log.warning("%s", error)
        return {}
    before = confidence.judge([(confidence.raw(evidence), truth) for evidence, truth in words])
    after = confidence.judge(unseen)
    for quality, when in ((before, "as it was"), (after, "calibrated, on words that were held out")):
        print(f"confidence {when}: {quality.line()}")
    return {"confidence": calibration.to_plain(), "confidence_held_out": {**after.known()}}
