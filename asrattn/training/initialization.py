"""Initialization: which parts of a model, architecture and weights, a run takes from the file that --init names."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from asrattn import model_file, text
from asrattn.config import JSONValue, check, from_plain, override
from asrattn.decoders import DecoderConfig, RecurrentDecoderConfig, WhisperDecoderConfig
from asrattn.errors import ConfigError
from asrattn.model import ModelConfig
from asrattn.text import Tokenizer
from asrattn.training.recipe import Recipe

INHERITED = (
    "origin",
    "licence",
    "training_data",
    "dtype",
)  # of the card: they hold for what is fine-tuned too


def load_recipe(path: Path, settings: Sequence[str], init: Path | None) -> Recipe:
    """The recipe of a file with its settings changed, those of `model.` after the parts of `init` are taken.

    Raises ConfigError as `Recipe.load`, `override` and `resolve`.
    """
    recipe = override(Recipe.load(path), [setting for setting in settings if setting.startswith("init.")])
    if recipe.init is None:
        return override(recipe, settings)
    inside = [setting for setting in settings if setting.startswith("model.")]
    recipe = override(recipe, [setting for setting in settings if setting not in inside])
    return override(resolve(recipe, init), inside)


def resolve(recipe: Recipe, path: Path | None) -> Recipe:
    """The recipe with the architecture of the parts that its `init` takes from the model file, before torch is loaded.

    Without `init` it stays as it is. Raises ConfigError if no file is named, CheckpointError for a bad one.
    """
    if recipe.init is None or recipe.init.resolved:
        return recipe
    if path is None:
        raise ConfigError(
            f"the recipe {recipe.name!r} begins from a pre-trained model; name it with --init "
            "(asrattn import makes one, for example of openai/whisper-tiny.en)"
        )
    header = model_file.read_speech_model(path)
    base = from_plain(ModelConfig, header["model"], "model")
    _check_trained(recipe, header["card"], path)
    parts = recipe.init.parts
    taken: dict[str, Any] = {part: getattr(base, part) for part in parts if part != "ctc"}
    if "decoder" in parts:
        taken |= {"vocabulary": base.vocabulary}
    if "ctc" in parts or "decoder" in parts:
        taken |= {"ctc_labels": base.ctc_labels}
    if "ctc" in parts:
        taken |= {"ctc_dim": base.ctc_dim}
    layers = recipe.init.decoder_layers
    if layers:
        layers, taken["decoder"] = _select_decoder_layers(base.decoder, layers, path)
    model = replace(recipe.model, **taken)
    init = replace(recipe.init, decoder_layers=layers, resolved=True)
    resolved = replace(recipe, model=model, init=init)
    try:
        return override(resolved, recipe.init.settings)
    except ConfigError as error:
        reason = str(error).partition(";")[0]
        raise ConfigError(
            f"--init {path}: its encoder is {model.encoder.kind}; the recipe {recipe.name!r} suits another model: its "
            f"init.settings do not fit ({reason})"
        ) from None


def inherited_card(recipe: Recipe, path: Path) -> dict[str, JSONValue]:
    """What the card of a fine-tuned model takes over from that of the model file: origin and licence, and the CTC head
    if it is still untrained. Raises CheckpointError for a bad file."""
    card = model_file.read_speech_model(path)["card"]
    found: dict[str, JSONValue] = {name: card[name] for name in INHERITED if name in card}
    train, lora = recipe.train, recipe.train.lora
    frozen = "ctc" not in lora.train if lora else "ctc" in train.freeze and not train.freeze_updates
    trains_ctc = recipe.loss.ctc > 0 and recipe.loss.recognition > 0 and not frozen
    takes_ctc = recipe.init is None or "ctc" in recipe.init.parts
    if not trains_ctc and ("ctc" in card.get("untrained", ()) or not takes_ctc):
        found["untrained"] = ["ctc"]
    return found


def taken_tokenizer(recipe: Recipe, path: Path | None) -> Tokenizer | None:
    """The tokenizer of the model file, if the recipe takes the decoder from it; None if it trains its own.

    Raises CheckpointError for a bad file.
    """
    if path is None or recipe.init is None or "decoder" not in recipe.init.parts:
        return None
    return text.from_plain(model_file.read_speech_model(path)["tokenizer"])


def _select_decoder_layers(
    decoder: DecoderConfig, wanted: tuple[int, ...], path: Path
) -> tuple[tuple[int, ...], DecoderConfig]:
    """The numbers of these layers, counted from the lowest one, and the decoder that has them alone. Alignment heads of
    other layers are dropped. Raises ConfigError for layers that do not exist or are not in their order."""
    if isinstance(decoder, RecurrentDecoderConfig):
        raise ConfigError(
            f"--init {path}: init.decoder_layers needs a decoder of separate layers, this one is recurrent"
        )
    for layer in wanted:
        known = -decoder.layers <= layer < decoder.layers
        check(
            known,
            f"--init {path}: its decoder has {decoder.layers} layers; init.decoder_layers names {layer}",
        )
    layers = tuple(layer % decoder.layers for layer in wanted)
    check(
        all(a < b for a, b in pairwise(layers)),
        f"init.decoder_layers: {', '.join(map(str, wanted))} of {decoder.layers} layers are not in their order, or one "
        "is named twice",
    )
    if isinstance(decoder, WhisperDecoderConfig):
        numbers = {layer: number for number, layer in enumerate(layers)}
        heads = ((numbers[layer], head) for layer, head in decoder.alignment_heads if layer in numbers)
        decoder = replace(decoder, alignment_heads=tuple(heads))
    return layers, replace(decoder, layers=len(layers))


def _check_trained(recipe: Recipe, card: Mapping[str, Any], path: Path) -> None:
    """Raises ConfigError for a part that the file holds without having trained it, except CTC, which may begin anew."""
    assert recipe.init is not None
    for part in set(recipe.init.parts) & set(card.get("untrained", ())) - {"ctc"}:
        raise ConfigError(
            f"--init {path}: its {part} is untrained; take other parts from it: "
            f"--set init.parts={','.join(p for p in recipe.init.parts if p != part)}"
        )
