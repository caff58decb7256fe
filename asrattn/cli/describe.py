"""`asrattn describe MODEL|RECIPE.py`: configuration and parameters of a model; memory and time of its training."""

import argparse
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from asrattn import model_file
from asrattn.cli import options
from asrattn.config import to_plain
from asrattn.errors import ConfigError
from asrattn.training import initialization
from asrattn.training.recipe import Recipe

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from asrattn.config import JSONValue
    from asrattn.model.speech_model import SpeechModel

_ASSUMED_VOCABULARY = 30  # characters; the data define the actual vocabulary
_MEASURED_SECONDS = 20.0  # audio of the step that is timed, at most
_MEASURED_GFLOP = 300.0  # operations of that step, at most: some seconds on a laptop
_USUAL_SECONDS = 10.0


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Configuration, parameters by part, frame rate; of a recipe also the memory and time of training."
    )
    parser.add_argument("subject", type=Path, metavar="MODEL|RECIPE.py")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting of the recipe"
    )
    options.add_init(parser, "the model that a recipe with `init` begins from")
    options.add_threads(parser)
    forecast = parser.add_argument_group("the forecast for a recipe")
    forecast.add_argument(
        "--utterance",
        type=options.positive_float,
        metavar="S",
        help=f"usual seconds (default: those of --data, or {_USUAL_SECONDS:g})",
    )
    forecast.add_argument(
        "--memory",
        type=options.positive_float,
        metavar="GB",
        help="report the largest micro-batch for this memory",
    )
    forecast.add_argument(
        "--data", type=Path, metavar="DIR", help="report the time of an epoch over its train.jsonl"
    )
    forecast.add_argument(
        "--hours",
        type=options.positive_float,
        metavar="H",
        help="report the time of an epoch over so many hours of speech",
    )
    forecast.add_argument(
        "--flops",
        type=options.positive_float,
        metavar="G",
        help="GFLOP/s of the machine in training (default: measured here, on the processor)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    for line in _recipe(args) if args.subject.suffix == ".py" else _model(args):
        print(line, flush=True)  # each as soon as it is known: what follows takes seconds
    return 0


def _recipe(args: argparse.Namespace) -> Iterator[str]:
    recipe = initialization.load_recipe(args.subject, args.set, args.init)
    spoken = _utterance_seconds(args.data) if args.data else None
    yield from _indented(to_plain(recipe))

    import torch

    from asrattn.model.speech_model import SpeechModel
    from asrattn.training import finetune
    from asrattn.training.precision import has_native_bf16

    options.use_threads(args)
    if recipe.train.precision == "bf16" and not (torch.accelerator.is_available() or has_native_bf16()):
        recipe = replace(recipe, train=replace(recipe.train, precision="fp32"))  # as the training here does
    size = recipe.model.vocabulary or getattr(recipe.data.tokens, "size", _ASSUMED_VOCABULARY)
    model = SpeechModel(replace(recipe.model, vocabulary=size))
    yield from _parts(model)
    yield from _frames(model)
    if not recipe.model.vocabulary:
        yield f"vocabulary    {size} tokens assumed; the data define it"
    if not recipe.train.freeze_updates:
        finetune.freeze(model, recipe.train.freeze)
    if spoken is not None:
        args.hours = round(float(spoken.sum()) / 3600, 3)
        args.utterance = args.utterance or max(0.1, round(float(spoken.mean()), 1))
        yield f"data          {len(spoken)} utterances, {args.hours:g} h"
    args.utterance = args.utterance or _USUAL_SECONDS
    yield from _forecast(recipe, model, args)


def _utterance_seconds(folder: Path) -> "NDArray[np.float64]":
    """(n,) of the training utterances, as their manifests say."""
    from asrattn.training.data import folder as data_folder

    data_folder.check(folder)
    return data_folder.open_train(folder)[1].seconds.astype("f8")


def _model(args: argparse.Namespace) -> Iterator[str]:
    path = args.subject
    if path.exists() and (args.set or args.init or args.data):
        raise ConfigError(f"{path}: --set, --init and --data are for recipes, not for trained models")
    model_file.read_speech_model(path)

    from asrattn import checkpoint

    saved = checkpoint.load(path)
    yield from _indented({"model": to_plain(saved.model.config), "decoding": to_plain(saved.decoding)})
    yield from _parts(saved.model)
    yield from _frames(saved.model)
    yield f"vocabulary    {saved.tokenizer.size} tokens, 3 of them reserved ({type(saved.tokenizer).__name__})"
    yield from _indented({"card": {**options.format_card(saved.card)}})


def _indented(plain: "JSONValue", depth: int = 0) -> Iterator[str]:
    """Nested settings, one per line, values in a column."""
    if not isinstance(plain, Mapping):
        return
    width = max((len(name) for name, value in plain.items() if not isinstance(value, Mapping)), default=0)
    for name, value in plain.items():
        if isinstance(value, Mapping):
            yield f"{'  ' * depth}{name}"
            yield from _indented(value, depth + 1)
        else:
            yield f"{'  ' * depth}{name:{width}}  {_text(value)}"


def _text(value: "JSONValue") -> str:
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return "none" if value is None else str(value)


def _parts(model: "SpeechModel") -> Iterator[str]:
    sizes = {name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()}
    sizes["total"] = sum(sizes.values())
    yield "parameters"
    for name, size in sizes.items():
        yield f"  {name:9} {size:>13,}"


def _frames(model: "SpeechModel") -> Iterator[str]:
    import torch

    config = model.config.frontend
    # Whisper's features and encoder end at 30 s.
    seconds = 30 if "whisper" in (config.kind, model.config.encoder.kind) else 1000
    feats = model.frontend.lens(torch.tensor([seconds * config.rate]))
    per_second = [int(lens) / seconds for lens in (feats, model.encoder.lens(feats))]
    yield f"rate          {config.rate} Hz"
    yield f"frames        {per_second[0]:.0f} a second, {config.features} features each"
    yield f"encoder       {per_second[1]:.1f} frames a second, subsampling {per_second[0] / per_second[1]:.0f}"


def _forecast(recipe: "Recipe", model: "SpeechModel", args: argparse.Namespace) -> Iterator[str]:
    from asrattn.training import data_scaling, forecast

    found, each = forecast.forecast_step(recipe, model), args.utterance
    batch = min(recipe.data.batch_seconds, recipe.data.max_device_seconds or recipe.data.batch_seconds)
    if recipe.data.batch_utterances:
        batch = min(batch, recipe.data.batch_utterances * each)
    yield f"memory of a training step, {recipe.train.precision}, utterances of {each:g} s (estimate)"
    yield f"  weights       {found.weights / 1e6:8.0f} MB   with gradients, optimiser and average"
    yield f"  activations   {found.activations(batch, each) / 1e6:8.0f} MB   for {batch:g} s of audio at once"
    if args.memory:
        largest = found.max_batch_seconds(args.memory * 1e9, each)
        yield f"  largest       {largest:8.0f} s    of audio at once in {args.memory:g} GB: data.max_device_seconds"
    work = found.flops(1.0, each) / 1e9
    yield f"work          {work:.2f} GFLOP a second of audio, forward and backward"
    rate, source = args.flops, "given"
    if rate is None:
        audio = min(batch, _MEASURED_SECONDS, _MEASURED_GFLOP / work)
        length = min(each, max(audio, forecast.PROBE_SECONDS))  # of one utterance a part, if it is much work
        audio = length * max(1, round(audio / length))
        taken = forecast.seconds_per_step(recipe, model, round(audio / length), length)
        rate, source = found.flops(audio, length) / 1e9 / taken, f"measured here, on {audio:g} s of audio"
    yield f"rate          {rate:.1f} GFLOP/s, {source}: {rate / work:.0f} seconds of audio a second"
    if args.hours:
        hours, epochs = args.hours * work / rate, recipe.train.epochs
        if recipe.train.scale_to_data:
            epochs = data_scaling.scaled_epochs(max(1, round(3600 * args.hours / each)))
        elif recipe.train.updates:
            epochs = math.ceil(recipe.train.updates / max(1, 3600 * args.hours / batch))
        yield f"epoch         {_duration(hours)} for {args.hours:g} h of speech"
        yield f"training      {_duration(epochs * hours)} for {epochs} epochs"


def _duration(hours: float) -> str:
    if hours < 1 / 60:
        return f"{3600 * hours:.0f} s"
    return (
        f"{60 * hours:.0f} min" if hours < 3 else f"{hours:.0f} h" if hours < 72 else f"{hours / 24:.0f} days"
    )
