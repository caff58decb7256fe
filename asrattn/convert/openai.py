"""OpenAI: read and write the .pt file of the program `whisper`."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from asrattn.convert import tokenizer_json, weight_files
from asrattn.convert.source import (
    COPY_AGAIN,
    WhisperDims,
    WhisperRules,
    WhisperSource,
    check_dims,
    check_weights,
    read_dims,
    weight_shapes,
)
from asrattn.encoders.whisper import whisper_sinusoids
from asrattn.errors import CheckpointError, ConfigError
from asrattn.files import atomic_write

SIZES = {  # ours: theirs; layers of the feed-forward part are four times as wide as the model
    "mels": "n_mels",
    "audio_context": "n_audio_ctx",
    "text_context": "n_text_ctx",
    "dim": "n_text_state",
    "vocabulary": "n_vocab",
    "encoder_layers": "n_audio_layer",
    "encoder_heads": "n_audio_head",
    "decoder_layers": "n_text_layer",
    "decoder_heads": "n_text_head",
}
FFN_FACTOR = 4
ENCODER_STATE = "n_audio_state"
ENCODER_POSITIONS = "model.encoder.embed_positions.weight"
ALIGNMENT_HEADS = "alignment_heads"
PARTS = (  # Hugging Face's part of a name: OpenAI's; the first that fits is taken
    (".self_attn_layer_norm.", ".attn_ln."),
    (".encoder_attn_layer_norm.", ".cross_attn_ln."),
    (".final_layer_norm.", ".mlp_ln."),
    (".self_attn.", ".attn."),
    (".encoder_attn.", ".cross_attn."),
    (".fc1.", ".mlp.0."),
    (".fc2.", ".mlp.2."),
    ("encoder.layer_norm.", "encoder.ln_post."),
    ("decoder.layer_norm.", "decoder.ln."),
    (".embed_tokens.", ".token_embedding."),
    (".embed_positions.weight", ".positional_embedding"),
)
PRODUCTS = {".q_proj.": ".query.", ".k_proj.": ".key.", ".v_proj.": ".value.", ".out_proj.": ".out."}


def openai_name(name: str) -> str:
    """OpenAI's name of a weight that Hugging Face calls so."""
    name = name.removeprefix("model.")
    theirs, ours = next(((a, b) for a, b in PARTS if a in name), ("", ""))
    name = name.replace(theirs, ours, 1).replace(".layers.", ".blocks.", 1)
    for theirs, ours in PRODUCTS.items():
        name = name.replace(theirs, ours, 1)
    return name


def read(path: Path, tokenizer: Path | None) -> WhisperSource:
    """A file {dims, model_state_dict}. The format holds no tokenizer: name a tokenizer.json, or a folder with one. It
    holds no rules either: those that `whisper` itself has are taken.

    Raises ConfigError without a tokenizer; CheckpointError if the file is missing or damaged, holds code, or is of
    another model, or the tokenizer does not suit it.
    """
    if tokenizer is None:
        raise ConfigError(
            f"{path}: a file of OpenAI holds no tokenizer; name the {tokenizer_json.FILE} of the model too"
        )
    plain = weight_files.read_torch(path)
    if not isinstance(plain, dict) or not isinstance(plain.get("dims"), dict):
        raise CheckpointError(f"{path}: has no dims, so it is no Whisper file of OpenAI; {COPY_AGAIN}")
    dims = _read_dims(plain["dims"], str(path))
    stored = weight_files.table(plain.get("model_state_dict"), path)
    heads = _alignment_heads(stored.pop(ALIGNMENT_HEADS, None), dims, str(path))
    names = {openai_name(name): name for name in weight_shapes(dims)}
    weights = {names.get(name, name): weight for name, weight in stored.items()}
    if ENCODER_POSITIONS not in weights:  # no parameter: some programs leave it out
        weights[ENCODER_POSITIONS] = whisper_sinusoids(dims.audio_context, dims.dim)
    check_weights(weights, dims, str(path))
    text = tokenizer_json.read(tokenizer, dims.vocabulary)
    rules = tokenizer_json.default_rules(text, str(tokenizer))
    return WhisperSource(
        dims, weights, text, WhisperRules(rules.suppress, rules.begin_suppress, heads), path.stem
    )


def _read_dims(plain: dict[str, Any], place: str) -> WhisperDims:
    if plain.get(ENCODER_STATE) != plain.get(SIZES["dim"]):
        raise CheckpointError(
            f"{place}: {ENCODER_STATE} and {SIZES['dim']} differ, which no Whisper has; {COPY_AGAIN}"
        )
    width = plain.get(SIZES["dim"])
    ffn_dim = FFN_FACTOR * width if type(width) is int else None
    sizes = {"encoder_ffn_dim": ffn_dim, "decoder_ffn_dim": ffn_dim}
    return read_dims(plain | sizes, SIZES | {name: name for name in sizes}, place)


def _alignment_heads(stored: Tensor | None, dims: WhisperDims, place: str) -> tuple[tuple[int, int], ...]:
    """From a bool tensor (decoder layers, heads), usually sparse, if a program stored it."""
    if stored is None:
        return ()
    if stored.shape != (dims.decoder_layers, dims.decoder_heads):
        raise CheckpointError(f"{place}: {ALIGNMENT_HEADS} has shape {tuple(stored.shape)}; {COPY_AGAIN}")
    return tuple((layer, head) for layer, head in stored.to_dense().nonzero().tolist())


def write(path: Path, source: WhisperSource) -> None:
    """A file that `whisper.load_model` reads. Tokenizer and rules are not written: `whisper` has its own.

    Raises ConfigError if the format cannot hold the model, CheckpointError if its parts do not fit together, OSError
    where the file cannot be written.
    """
    dims, place = source.dims, source.origin or "the model"
    check_dims(dims, place)
    check_weights(source.weights, dims, place)
    for part in ("encoder", "decoder"):
        ffn_dim = getattr(dims, f"{part}_ffn_dim")
        if ffn_dim != FFN_FACTOR * dims.dim:
            raise ConfigError(
                f"{place}: {part}_ffn_dim is {ffn_dim}, a file of OpenAI needs {FFN_FACTOR * dims.dim}; "
                "write another format"
            )
    sizes = {theirs: getattr(dims, ours) for ours, theirs in SIZES.items()} | {ENCODER_STATE: dims.dim}
    weights = {openai_name(name): source.weights[name].detach().cpu().clone() for name in weight_shapes(dims)}
    with atomic_write(path) as draft:
        torch.save({"dims": sizes, "model_state_dict": weights}, draft)
