"""`asrattn describe MODEL|RECIPE.py`: what a model consists of, and what its training will need."""

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from asrattn.cli import options
from asrattn.errors import ConfigError

if TYPE_CHECKING:
    from asrattn.config import Plain
    from asrattn.model import SpeechModel

_UTTERANCE = 10.0  # seconds; the activations of one such utterance are measured
_VOCABULARY = 30  # of a recipe with characters, whose alphabet is known only with the data
_COPIES = 5  # of each weight in training: itself, its gradient, two moments of AdamW, the moving average


def add(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "describe",
        help="configuration, parameters and memory of a model or recipe",
        description="Configuration, parameters by part, frame rate, and the memory training would need.",
    )
    parser.add_argument("subject", type=Path, metavar="MODEL|RECIPE.py")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting of the recipe"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    lines = (
        _recipe(args.subject, args.set) if args.subject.suffix == ".py" else _model(args.subject, args.set)
    )
    print("\n".join(lines))
    return 0


def _recipe(path: Path, settings: list[str]) -> Iterator[str]:
    from dataclasses import replace

    from asrattn.config import override, to_plain
    from asrattn.model import SpeechModel
    from asrattn.training.recipe import Recipe

    recipe = override(Recipe.load(path), settings)
    yield from _indented(to_plain(recipe))
    size = recipe.model.vocabulary or getattr(recipe.data.tokens, "size", _VOCABULARY)
    model = SpeechModel(replace(recipe.model, vocabulary=size))
    yield from _parts(model)
    yield from _frames(model)
    if not recipe.model.vocabulary:
        yield f"vocabulary    {size} tokens assumed; the data decide"
    yield from _memory(model, recipe.data.batch_seconds)


def _model(path: Path, settings: list[str]) -> Iterator[str]:
    from asrattn import checkpoint
    from asrattn.config import to_plain

    if settings:
        raise ConfigError(f"{path}: --set changes recipes; a trained model stays as it is")
    saved = checkpoint.load(path)
    yield from _indented({"model": to_plain(saved.model.config), "search": to_plain(saved.search)})
    yield from _parts(saved.model)
    yield from _frames(saved.model)
    yield f"vocabulary    {saved.tokenizer.size} tokens, 3 of them reserved ({type(saved.tokenizer).__name__})"
    yield from _indented({"card": {**options.card(saved.card)}})


def _indented(plain: "Plain", depth: int = 0) -> Iterator[str]:
    """Nested settings, one a line, values in a column of their own."""
    if not isinstance(plain, Mapping):
        return
    width = max((len(name) for name, value in plain.items() if not isinstance(value, Mapping)), default=0)
    for name, value in plain.items():
        if isinstance(value, Mapping):
            yield f"{'  ' * depth}{name}"
            yield from _indented(value, depth + 1)
        else:
            yield f"{'  ' * depth}{name:{width}}  {_text(value)}"


def _text(value: "Plain") -> str:
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
    seconds = 1000
    feats = model.frontend.lens(torch.tensor([seconds * config.rate]))
    per_second = [int(lens) / seconds for lens in (feats, model.encoder.lens(feats))]
    yield f"rate          {config.rate} Hz"
    yield f"frames        {per_second[0]:.0f} a second, {config.features} features each"
    yield f"encoder       {per_second[1]:.1f} frames a second, subsampling {per_second[0] / per_second[1]:.0f}"


def _memory(model: "SpeechModel", batch_seconds: float) -> Iterator[str]:
    """The forecast, in fp32: _COPIES of the weights, and what the backward pass keeps of a batch.

    The latter is measured: all that autograd saves for one utterance of _UTTERANCE seconds, scaled to the batch.
    Longer utterances need more in the attention, bf16 about half; the library's own work space comes on top.
    """
    weights = _COPIES * 4 * sum(p.numel() for p in model.parameters())
    activations = _saved_bytes(model) * batch_seconds / _UTTERANCE
    yield "memory in training, fp32 (estimate)"
    yield f"  weights       {weights / 1e6:8.0f} MB   with gradients, optimiser and average"
    yield f"  activations   {activations / 1e6:8.0f} MB   for {batch_seconds:g} s of audio a batch"


def _saved_bytes(model: "SpeechModel") -> int:
    """Bytes which autograd keeps for the backward pass of one utterance, the weights not counted."""
    import torch
    from torch import Tensor

    from asrattn.model import LossConfig

    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    samples = round(_UTTERANCE * model.config.frontend.rate)
    tokens = torch.full(
        (1, round(_UTTERANCE * 10)), model.config.vocabulary - 1
    )  # people speak 10 letters a second
    feats, lens = model.frontend(torch.zeros(1, samples), torch.tensor([samples]))
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model.train().loss(feats, lens, tokens, torch.tensor([tokens.shape[1]]), LossConfig())
    return sum(kept.values())
