"""Options which several commands share."""

import argparse
import math
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from asrattn import model_file
from asrattn.cpu_count import usable_cpus
from asrattn.errors import ConfigError, StoppedError
from asrattn.sharding import UNSHARDED, JobShard

if TYPE_CHECKING:
    from asrattn.config import JSONValue
    from asrattn.decoding import DecodingConfig
    from asrattn.inference.recognizer import Recognizer
    from asrattn.lm import NGram
    from asrattn.lm.neural import NeuralLM

T = TypeVar("T")
LM_WEIGHT = 0.3
HOTWORD_WEIGHT = 0.5
LM_UNITS = ("word", "char", "token")
PRECISIONS = ("fp32", "bf16")
TASKS = ("transcribe", "translate")
VADS = ("level", "silero", "off")
MAX_ITEMS_WITHOUT_BAR = 20  # no progress bar for so few


def add_recognition(parser: "argparse._ActionsContainer") -> None:
    """Options of decoding: beam search, CTC, shallow fusion, VAD, device, precision."""
    parser.add_argument("--beam", type=positive_int, metavar="K", help="beam size (default: the model's own)")
    parser.add_argument(
        "--ctc", type=fraction, metavar="W", help="weight of the CTC score, 0 to 1 (default: the model's own)"
    )
    parser.add_argument(
        "--length-bonus",
        type=float,
        metavar="X",
        help="added to the score for each token; makes up for language models, which favour short texts",
    )
    _add_fusion(parser)
    parser.add_argument(
        "--language",
        metavar="CODE",
        help="of a multilingual Whisper, such as is; auto: detect it (default: the model's own)",
    )
    parser.add_argument(
        "--task", choices=TASKS, help="of a multilingual Whisper: transcribe, or translate to English"
    )
    parser.add_argument(
        "--vad",
        choices=VADS,
        default=VADS[0],
        help="voice activity detection in long files: level (default), silero (pip install asrattn[vad]), or off",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: auto)")
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default=PRECISIONS[0],
        help="matmul precision: fp32 (default) or bf16 (faster on hardware that supports it)",
    )
    add_threads(parser)


def _add_fusion(parser: "argparse._ActionsContainer") -> None:
    """Options of shallow fusion: language models and hotwords."""
    parser.add_argument(
        "--lm",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="language model for shallow fusion: an ARPA file or a neural model; may be repeated",
    )
    parser.add_argument(
        "--lm-weight",
        type=nonzero_float,
        action="append",
        metavar="W",
        help="weight in shallow fusion: one for each --lm, or one for all; a negative weight subtracts the LM "
        f"(density ratio; default: {LM_WEIGHT})",
    )
    parser.add_argument("--lm-units", choices=LM_UNITS, help="units of ARPA files that do not say them")
    parser.add_argument(
        "--lm-oov",
        type=nonnegative_float,
        metavar="COST",
        help="-log p of each character of an unknown word, for word models; inf forbids such words "
        "(default: all characters are equally likely)",
    )
    parser.add_argument(
        "--hotwords",
        type=Path,
        metavar="FILE",
        help="contextual biasing: phrases, one a line (then a tab and a weight)",
    )
    parser.add_argument(
        "--hotword-weight",
        type=positive_float,
        default=HOTWORD_WEIGHT,
        metavar="W",
        help=f"bonus for each token of a hotword, in nats (default: {HOTWORD_WEIGHT:g})",
    )


def add_training(parser: argparse.ArgumentParser, outputs: str) -> None:
    """Options of every command that trains a recipe; `outputs` it writes into --out."""
    parser.add_argument(
        "recipe", type=Path, metavar="RECIPE.py", help="a file that sets RECIPE = Recipe(...)"
    )
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="holds train.jsonl and dev.jsonl"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help=f"where {outputs} written")
    add_network(parser, "model.encoder.layers=2")


def add_run(parser: argparse.ArgumentParser) -> None:
    """Options of a command that trains one model: processes, precision, seed, resuming."""
    parser.add_argument(
        "--devices", type=positive_int, default=1, metavar="N", help="processes on a node, a GPU each"
    )
    parser.add_argument("--nodes", type=positive_int, default=1, metavar="N", help="machines")
    parser.add_argument("--precision", choices=["fp32", "bf16", "fp16"], help="default: the recipe's")
    parser.add_argument(
        "--resume", action="store_true", help="resume the run in OUT from its last checkpoint"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")


def add_init(parser: "argparse._ActionsContainer", use: str) -> None:
    parser.add_argument("--init", type=Path, metavar="MODEL", help=use)


def add_network(parser: argparse.ArgumentParser, example: str) -> None:
    """Options of the accelerator and of changed settings."""
    parser.add_argument("--accelerator", choices=["auto", "cpu", "gpu"], default="auto", help="default: auto")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="settings",
        help=f"change a setting of the recipe, e.g. {example}; may be repeated",
    )
    add_threads(parser)


def add_shard(parser: argparse.ArgumentParser, help_text: str) -> None:
    parser.add_argument(
        "--shard",
        type=JobShard.parse,
        default=UNSHARDED,
        metavar="I/N",
        help=f"{help_text}; for job arrays (default: all)",
    )


def add_threads(parser: "argparse._ActionsContainer") -> None:
    parser.add_argument(
        "--threads", type=positive_int, metavar="N", help="CPU threads (default: one for each usable core)"
    )


def check_recognition(args: argparse.Namespace) -> None:
    """Check model, language models and hotwords before torch is loaded."""
    model_file.read_speech_model(args.model)
    for path, _ in _weighted_language_models(args):
        if model_file.is_model_file(path):
            model_file.read_language_model(path)
        else:
            from asrattn.lm import arpa

            arpa.check(path)
    if args.hotwords:
        from asrattn.lm.hotword_list import Hotwords

        Hotwords.read(args.hotwords)


def load_recognizer(args: argparse.Namespace) -> tuple["Recognizer", "DecodingConfig"]:
    """The recognizer of a command, and its decoding configuration with the command's changes."""
    check_recognition(args)
    from asrattn.audio import vad
    from asrattn.inference.recognizer import Recognizer
    from asrattn.lm.hotword_list import Hotwords

    use_threads(args)
    loaded = Recognizer.load(args.model, args.device, args.precision)
    if not loaded.is_trained("decoder"):
        raise ConfigError(
            f"{args.model}: its decoder is untrained, so that it transcribes nothing; fine-tune it with train --init"
        )
    if args.ctc and not loaded.is_trained("ctc"):
        raise ConfigError(
            f"--ctc {args.ctc:g}: the CTC head of {args.model} is untrained; train it, or omit --ctc"
        )
    if args.language or args.task:
        loaded.require_whisper().set_language(args.language, args.task or "transcribe")
    for path, weight in _weighted_language_models(args):
        oov = None if args.lm_oov is None else -args.lm_oov
        loaded.fuse(load_language_model(path, args.lm_units), weight, path.name, oov)
    loaded.vad = vad.make_speech_detector(args.vad)
    if args.hotwords:
        loaded.fuse(Hotwords.read(args.hotwords), args.hotword_weight, "hotwords")
    given = {"beam_size": args.beam, "ctc": args.ctc, "length_bonus": args.length_bonus}
    changes = {name: value for name, value in given.items() if value is not None}
    return loaded, replace(loaded.decoding, **changes)


def load_language_model(path: Path, units: str | None) -> "NGram | NeuralLM":
    """A neural model or an ARPA file, by its content. units: those of an ARPA file that does not say them."""
    from asrattn.lm import arpa

    if not model_file.is_model_file(path):
        return arpa.read(path, units or "")
    model_file.read_language_model(path)
    from asrattn.lm import neural

    return neural.load(path)


def _weighted_language_models(args: argparse.Namespace) -> list[tuple[Path, float]]:
    """The language models and their weights."""
    weights = args.lm_weight or [LM_WEIGHT]
    if len(weights) == 1:
        weights = weights * len(args.lm)
    if len(weights) != len(args.lm):
        raise ConfigError(
            f"{len(args.lm)} --lm and {len(weights)} --lm-weight; give one for each, or one for all"
        )
    return list(zip(args.lm, weights, strict=True))


def describe_language_models(args: argparse.Namespace) -> dict[str, str]:
    """The language models and hotwords in use, for a report."""
    used = ", ".join(f"{path} × {weight:g}" for path, weight in _weighted_language_models(args))
    found = {"language model": used} if used else {}
    return found | ({"hotwords": f"{args.hotwords} × {args.hotword_weight:g}"} if args.hotwords else {})


def print_trained(train: Callable[[], Path]) -> int:
    """Train, and print the path of the model file; with several processes rank 0 alone prints and reports a stop."""
    from asrattn.training.distributed import is_rank_zero

    try:
        model = train()
    except StoppedError:
        if not is_rank_zero():
            return 0
        raise
    if is_rank_zero():
        print(model)
    return 0


def use_threads(args: argparse.Namespace) -> None:
    """The threads that are asked for; else torch's choice, which knows of no quota, but no more than usable CPUs."""
    import torch

    if args.threads is not None:
        torch.set_num_threads(args.threads)
    elif "OMP_NUM_THREADS" not in os.environ and usable_cpus() < torch.get_num_threads():
        torch.set_num_threads(usable_cpus())


def progress_bar(items: Iterable[T], total: int | None, unit: str, name: str = "") -> Iterator[T]:
    """The items, with a progress bar on a terminal unless they are few."""
    from tqdm import tqdm

    quiet = (total is not None and total <= MAX_ITEMS_WITHOUT_BAR) or not sys.stderr.isatty()
    yield from tqdm(items, total=total, unit=unit, desc=name, disable=quiet, file=sys.stderr)


def format_card(card: Mapping[str, "JSONValue"]) -> dict[str, str]:
    """A card as readable names and values, without empty values, the recipe (see `reproduce`) and the card of the
    model."""
    return {
        name.replace("_", " "): shlex.join(map(str, value))
        if name == "command" and isinstance(value, list)
        else _text(value)
        for name, value in card.items()
        if value not in (None, "", []) and name not in ("recipe", "model_card")
    }


def _text(value: "JSONValue") -> str:
    if isinstance(value, dict):
        return "; ".join(f"{name} {_text(each)}" for name, each in value.items())
    return ", ".join(map(_text, value)) if isinstance(value, list) else str(value)


def finite_or_none(score: float) -> float | None:
    """A score for JSON: None if it is infinite, without a possible hypothesis."""
    return round(score, 4) if math.isfinite(score) else None


def positive_int(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return value


def positive_float(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def nonzero_float(text: str) -> float:
    value = float(text)
    if value == 0 or not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text} is not a weight; omit the model instead")
    return value


def nonnegative_float(text: str) -> float:
    value = float(text)
    if not value >= 0:
        raise argparse.ArgumentTypeError(f"{text} is below 0")
    return value


def fraction(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value
