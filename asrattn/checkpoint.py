"""Save, load and average model files: weights, the JSON that describes them, and nothing executable.

Besides the weights it holds the ModelConfig, the tokenizer, the result card and the DecodingConfig that the model was
evaluated with; see `weights`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from asrattn import model_file, text, weights
from asrattn.config import JSONValue, from_plain, to_plain
from asrattn.decoding import DecodingConfig
from asrattn.encoders import PretrainedEncoderConfig
from asrattn.errors import CheckpointError
from asrattn.model import ModelConfig
from asrattn.model.speech_model import SpeechModel
from asrattn.model_file import RETRAIN
from asrattn.text import Tokenizer


class Checkpoint(NamedTuple):
    """A model file in memory; the model is in evaluation mode. The card is what is known of it: dev_wer, seed, …"""

    model: SpeechModel
    tokenizer: Tokenizer
    card: dict[str, JSONValue]
    decoding: DecodingConfig


def save(
    path: Path,
    model: SpeechModel,
    tokenizer: Tokenizer,
    card: Mapping[str, JSONValue],
    decoding: DecodingConfig | None = None,
    dtype: torch.dtype | None = None,
) -> None:
    """Write a model file whole or not at all, its weights in `dtype` (None: as they are).

    Raises CheckpointError where the disk refuses.
    """
    about = {
        "model": to_plain(model.config),
        "tokenizer": tokenizer.to_plain(),
        "card": dict(card),
        "search": to_plain(decoding or DecodingConfig()),
    }
    weights.save(Path(path), model, about, dtype)


def load(path: Path, device: torch.device | str = "cpu") -> Checkpoint:
    """The model of a file, on the device, in evaluation mode. Runs nothing from the file.

    Raises CheckpointError naming the file and what is wrong with it: missing, truncated, of another kind or format
    version, a damaged configuration, weights that are no numbers or do not fit it.
    """
    path = Path(path)
    saved = _assemble(path, model_file.read_speech_model(path))
    saved.model.to(device)
    return saved


def average(paths: Sequence[Path]) -> Checkpoint:
    """The mean of the weights of several model files; everything else is the last one's.

    Raises CheckpointError where their configurations or tokenizers differ.
    """
    if not paths:
        raise CheckpointError("no model file to average; name at least one")
    *others, last = [load(path) for path in paths]
    for path, other in zip(paths, others, strict=False):
        same = other.model.config == last.model.config
        if not (same and other.tokenizer.to_plain() == last.tokenizer.to_plain()):
            raise CheckpointError(
                f"{path}: differs from {paths[-1]} in more than weights; average one run only"
            )
    states = [saved.model.state_dict() for saved in (*others, last)]
    last.model.load_state_dict({name: _mean([s[name] for s in states]) for name in states[-1]})
    return last


def _mean(values: list[Tensor]) -> Tensor:
    if not values[-1].is_floating_point():  # counters: the last one's stands
        return values[-1]
    return torch.stack([v.double() for v in values]).mean(0).to(values[-1].dtype)


def _upgrade(model: Any) -> Any:
    """Files from before recurrent encoders had norms do not speak of one: theirs have none."""
    encoder = model.get("encoder") if isinstance(model, dict) else None
    if not isinstance(encoder, dict) or encoder.get("kind") not in ("rnn", "gru", "lstm"):
        return model
    return model | {"encoder": {"norm": "none"} | encoder}


def _assemble(path: Path, plain: dict[str, Any]) -> Checkpoint:
    """Model, tokenizer, card and search of the JSON and the weights."""
    loaded = weights.load(path, plain)
    with model_file.damaged_configuration(path):
        weights.check_sizes(plain["model"], loaded, "model")
        config = from_plain(ModelConfig, _upgrade(plain["model"]), "model")
        if isinstance(config.encoder, PretrainedEncoderConfig):
            weights.check_sizes(config.encoder.plain_settings, loaded, "model.encoder.settings")
        tokenizer = text.from_plain(plain["tokenizer"])
        search = from_plain(DecodingConfig, plain["search"], "search")
    if tokenizer.size != config.vocabulary:
        raise CheckpointError(
            f"{path}: its tokenizer has {tokenizer.size} tokens, its model {config.vocabulary}; {RETRAIN}"
        )
    with model_file.damaged_configuration(path):
        model = weights.build(path, lambda: SpeechModel(config), loaded)
    if not (model.frontend.std > 0).all():
        raise CheckpointError(f"{path}: its frontend.std must be above 0; {RETRAIN}")
    model.spell_with(tokenizer)
    return Checkpoint(model, tokenizer, plain["card"], search)
