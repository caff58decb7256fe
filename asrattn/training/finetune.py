"""Fine-tuning: copy the weights of a trained model of the same architecture, map its tokens, freeze weights."""

import difflib
import logging
from collections.abc import Container, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from asrattn import checkpoint
from asrattn.checkpoint import Checkpoint
from asrattn.config import JSONValue, to_plain
from asrattn.errors import ConfigError
from asrattn.model.speech_model import SpeechModel
from asrattn.text import Tokenizer
from asrattn.training.recipe import Recipe
from asrattn.training.vocabulary import shared_token_ids, token_weights

log = logging.getLogger(__name__)

IGNORED_SETTINGS = {
    "dropout",
    "mask_time_length",
    "mask_time_prob",
    "scheduled_sampling",
    "vocabulary",
}  # they do not change the meaning of a weight
MAX_SHOWN_TOKENS = 20  # tokens listed in one log line


def load(path: Path, recipe: Recipe) -> Checkpoint:
    """The model to fine-tune. Raises CheckpointError as `checkpoint.load`, and, if the recipe does not name the parts
    that it takes, ConfigError if the architecture is another one, for the first setting that differs."""
    saved = checkpoint.load(path)
    if recipe.init:
        return saved
    wanted = recipe.model
    found = first_difference(to_plain(saved.model.config), to_plain(wanted), "model", IGNORED_SETTINGS)
    if found:
        name, theirs, ours = found
        advice = (
            f"--set {name}={format_value(theirs)}, or train without --init"
            if recipe.model.encoder.kind == saved.model.config.encoder.kind
            else "take its own recipe, or one that takes the encoder of another model, such as those of recipes/whisper"
        )
        raise ConfigError(
            f"--init {path}: its {name} is {format_value(theirs)}, the recipe's {format_value(ours)}; weights fit the "
            f"same model only: {advice}"
        )
    return saved


@torch.no_grad()
def copy_parts(
    model: SpeechModel,
    saved: Checkpoint,
    path: Path,
    parts: Sequence[str],
    decoder_layers: Sequence[int] = (),
) -> None:
    """Copy the weights of these parts, which have the same architecture in both models; log what begins untrained.

    decoder_layers: the layer of theirs that each layer of our decoder begins from; () if they have the same.

    Raises ConfigError for a weight of another shape.
    """
    untrained = saved.card.get("untrained")
    taken = [part for part in parts if not (isinstance(untrained, list) and part in untrained)]
    own, theirs = model.state_dict(), saved.model.state_dict()
    copied = [name for name in own if name.split(".")[0] in taken]
    for name in copied:
        source = _source_name(name, decoder_layers)
        if source not in theirs or own[name].shape != theirs[source].shape:
            raise ConfigError(
                f"--init {path}: its {source} {_shape(theirs.get(source))}, the recipe's {_shape(own[name])}; "
                f"take other parts of it (init.parts), or do not change the {name.split('.')[0]} in the recipe"
            )
        own[name].copy_(theirs[source])
    fresh = sorted({name.split(".")[0] for name in own if name not in copied and "." in name} - {"frontend"})
    log.info(
        "%s: loaded %.2f M parameters of %s; untrained: %s",
        path,
        sum(own[name].numel() for name in copied) / 1e6,
        ", ".join(taken),
        ", ".join(fresh) or "none",
    )


def _shape(weight: Tensor | None) -> str:
    return "does not exist" if weight is None else "has the shape " + " × ".join(map(str, weight.shape))


@torch.no_grad()
def copy_weights(model: SpeechModel, tokenizer: Tokenizer, saved: Checkpoint, path: Path) -> None:
    """Copy the saved weights into a model of the same architecture, including the feature mean and deviation.

    Rows of tokens move to the token's id in our tokenizer; rows of tokens that only we have keep their values.
    """
    own, theirs = model.state_dict(), saved.model.state_dict()
    rows = shared_token_ids(tokenizer, saved.tokenizer)
    ours_at, theirs_at = torch.tensor(list(rows)), torch.tensor(list(rows.values()))
    by_token = token_weights(model)
    for name, weight in own.items():
        if name in by_token:
            weight[ours_at] = theirs[name][theirs_at].to(weight.dtype)
        else:
            weight.copy_(theirs[name])
    _log_copied(path, own, by_token, rows, tokenizer, saved.tokenizer)


def freeze(model: nn.Module, prefixes: tuple[str, ...]) -> None:
    """Freeze the weights below these names: they are not trained.

    Raises ConfigError for a name that no weight has, with a suggestion, and if no weight is left to train.
    """
    for name in select_frozen(model, prefixes):
        model.get_parameter(name).requires_grad_(False)


def select_frozen(model: nn.Module, prefixes: tuple[str, ...]) -> list[str]:
    """The names of the weights that `freeze` freezes. Raises ConfigError as it does."""
    frozen = select_weights(model, prefixes, "train.freeze")
    if not {name for name, p in model.named_parameters() if p.requires_grad} - set(frozen):
        raise ConfigError("train.freeze: leaves nothing to train; freeze fewer weights")
    return frozen


def select_weights(model: nn.Module, prefixes: tuple[str, ...], setting: str) -> list[str]:
    """The names of the weights with these names or prefixes. Raises ConfigError, with a suggestion, for one that no
    weight has; setting: where it stands."""
    names = [name for name, _ in model.named_parameters()]
    for prefix in prefixes:
        if not any(_has_prefix(name, prefix) for name in names):
            raise ConfigError(f"{setting}: {_unknown(prefix, names)}")
    return [name for name in names if any(_has_prefix(name, prefix) for prefix in prefixes)]


def warn_of_untrained_tokens(model: SpeechModel, ours: Tokenizer, theirs: Tokenizer) -> None:
    """Warn if tokens that the model to fine-tune lacks have frozen rows, which stay random."""
    fresh = [token for token in ours.tokens if token not in set(theirs.tokens)]
    weights = {name.replace(".base_layer.", "."): p for name, p in model.named_parameters()}
    still = sorted(name for name in token_weights(model) if not weights[name].requires_grad)
    if fresh and still:
        log.warning(
            "the new tokens %s keep random weights in %s, which are frozen; train them as well, or use texts without "
            "these tokens",
            _format_tokens(fresh),
            ", ".join(still),
        )


def first_difference(
    theirs: JSONValue, ours: JSONValue, where: str, ignored: Container[str] = ()
) -> tuple[str, JSONValue, JSONValue] | None:
    """Name and both values of the first setting that differs, except the ignored ones."""
    return next(differences(theirs, ours, where, ignored), None)


def differences(
    theirs: JSONValue, ours: JSONValue, where: str, ignored: Container[str] = ()
) -> Iterator[tuple[str, JSONValue, JSONValue]]:
    """Name and both values of each setting that differs, except the ignored ones."""
    if not (isinstance(theirs, dict) and isinstance(ours, dict)):
        if theirs != ours:
            yield where, theirs, ours
        return
    names = [*theirs, *(name for name in ours if name not in theirs)]
    for name in sorted(names, key=lambda n: n != "kind"):  # first: another kind has other settings
        if name not in ignored:
            yield from differences(theirs.get(name), ours.get(name), f"{where}.{name}", ignored)


def _source_name(name: str, decoder_layers: Sequence[int]) -> str:
    """The name of a weight in the model that it is taken from."""
    part, _, rest = name.partition(".layers.")
    if part != "decoder" or not rest or not decoder_layers:
        return name
    number, _, inside = rest.partition(".")
    return f"{part}.layers.{decoder_layers[int(number)]}.{inside}"


def _log_copied(
    path: Path,
    weights: dict[str, Tensor],
    by_token: frozenset[str],
    rows: dict[int, int],
    ours: Tokenizer,
    theirs: Tokenizer,
) -> None:
    loaded = sum(w.numel() for name, w in weights.items() if name not in by_token)
    log.info(
        "%s: loaded %.2f M parameters, including the feature mean and standard deviation", path, loaded / 1e6
    )
    fresh = [token for token in ours.tokens if token not in set(theirs.tokens)]
    lost = [token for token in theirs.tokens if token not in set(ours.tokens)]
    log.info(
        "%s: %d of %d tokens mapped in %d weights; new: %s; not used: %s",
        path,
        len(rows),
        ours.size,
        len(by_token),
        _format_tokens(fresh),
        _format_tokens(lost),
    )


def _format_tokens(tokens: list[str]) -> str:
    shown = ", ".join(map(repr, tokens[:MAX_SHOWN_TOKENS])) or "none"
    return shown + (f" and {len(tokens) - MAX_SHOWN_TOKENS} more" if len(tokens) > MAX_SHOWN_TOKENS else "")


def _has_prefix(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(f"{prefix}.")


def _unknown(prefix: str, names: list[str]) -> str:
    """A message with the closest of all names and their prefixes."""
    above = {".".join(name.split(".")[:depth]) for name in names for depth in range(1, name.count(".") + 2)}
    close = difflib.get_close_matches(prefix, sorted(above), n=1, cutoff=0.5)
    top = ", ".join(dict.fromkeys(name.split(".")[0] for name in names))
    hint = f"did you mean {close[0]}?" if close else f"the model has {top}"
    return f"no weight is named {prefix!r} or below it; {hint}"


def format_value(value: JSONValue) -> str:
    """The value in the syntax of `--set`."""
    if isinstance(value, list):
        return ",".join(map(format_value, value))
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
