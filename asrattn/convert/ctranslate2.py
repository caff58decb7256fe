"""CTranslate2: read and write the folder that `ctranslate2.models.Whisper` and faster-whisper load."""

import json
import re
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from asrattn.convert import model_bin, model_folder, preprocessor, tokenizer_json
from asrattn.convert.huggingface import check_source
from asrattn.convert.model_bin import ModelBin
from asrattn.convert.source import COPY_AGAIN, WhisperDims, WhisperSource, check_dims, check_weights
from asrattn.errors import CheckpointError, ConfigError
from asrattn.files import atomic_write, make_folder, write_text
from asrattn.text.whisper import TIMESTAMP_SECONDS

MODEL = "model.bin"
CONFIG = "config.json"
VOCABULARY = "vocabulary.json"
SPEC, REVISION = "WhisperSpec", 3
RULES = ("suppress_ids", "suppress_ids_begin", "alignment_heads")
TYPES = {"float16": torch.float16, "float32": torch.float32}
EMBEDDINGS, OUTPUT = "decoder/embeddings/weight", "decoder/projection/weight"
HEADS = {"encoder_heads": "encoder/num_heads", "decoder_heads": "decoder/num_heads"}
GELU = 3
SETTINGS: dict[str, tuple[int, torch.dtype]] = {  # value and type; of every Whisper
    "decoder/activation": (GELU, torch.int8),
    "decoder/alibi": (0, torch.int8),
    "decoder/alibi_use_positive_positions": (0, torch.int8),
    "decoder/alignment_heads": (1, torch.int16),
    "decoder/alignment_layer": (-1, torch.int16),
    "decoder/pre_norm": (1, torch.int8),
    "decoder/scale_alibi": (0, torch.int8),
    "decoder/scale_embeddings": (0, torch.int8),
    "decoder/start_from_zero_embedding": (0, torch.int8),
}
EXTRA = {"encoder/activation": GELU, "encoder/pre_norm": 1}  # in files of older releases
SCALE = "_scale"  # ends the name of the scales of a quantised weight
LAYER = re.compile(r"(encoder|decoder)/layer_(\d{1,4})/")
KEY_BIAS = ".k_proj.bias"
Linears = tuple[tuple[str, ...], ...]
SELF_LINEARS: Linears = (("q_proj", "k_proj", "v_proj"), ("out_proj",))  # stacked in linear_0, linear_1
CROSS_LINEARS: Linears = (("q_proj",), ("k_proj", "v_proj"), ("out_proj",))


def layout(dims: WhisperDims) -> dict[str, tuple[str, ...]]:
    """CTranslate2's name of every variable -> the weights that are stacked in it along the first dimension.

    The bias of the keys (`k_proj.bias`), which Whisper has not, is among them: zeros.
    """
    names: dict[str, tuple[str, ...]] = {EMBEDDINGS: ("model.decoder.embed_tokens.weight",)}
    for name in ("conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias"):
        names[f"encoder/{name.replace('.', '/')}"] = (f"model.encoder.{name}",)
    for part in ("encoder", "decoder"):
        names[f"{part}/position_encodings/encodings"] = (f"model.{part}.embed_positions.weight",)
        names |= _norm(f"{part}/layer_norm", f"model.{part}.layer_norm")
        for layer in range(getattr(dims, f"{part}_layers")):
            names |= _layer(f"{part}/layer_{layer}/", f"model.{part}.layers.{layer}.", part == "decoder")
    return names


def _layer(theirs: str, ours: str, cross: bool) -> dict[str, tuple[str, ...]]:
    attentions = [("self_attention", "self_attn", SELF_LINEARS)]
    if cross:
        attentions.append(("attention", "encoder_attn", CROSS_LINEARS))
    names = _norm(f"{theirs}ffn/layer_norm", f"{ours}final_layer_norm")
    for attention, attn, linears in attentions:
        names |= _norm(f"{theirs}{attention}/layer_norm", f"{ours}{attn}_layer_norm")
        for i, linear in enumerate(linears):
            for kind in ("weight", "bias"):
                stacked = tuple(f"{ours}{attn}.{name}.{kind}" for name in linear)
                names[f"{theirs}{attention}/linear_{i}/{kind}"] = stacked
    for i, kind in product((0, 1), ("weight", "bias")):
        names[f"{theirs}ffn/linear_{i}/{kind}"] = (f"{ours}fc{i + 1}.{kind}",)
    return names


def _norm(theirs: str, ours: str) -> dict[str, tuple[str, ...]]:
    return {f"{theirs}/gamma": (f"{ours}.weight",), f"{theirs}/beta": (f"{ours}.bias",)}


def read(folder: Path, tokenizer: Path | None = None) -> WhisperSource:
    """A folder of any quantization; integer weights become float32, and all others with them.

    tokenizer: a tokenizer.json, or a folder with one, in the place of the folder's own. Raises CheckpointError naming
    the file, if one is missing or damaged, is of another architecture, or does not suit the others.
    """
    path = folder / MODEL
    content = model_bin.read(path)
    if content.spec != SPEC:
        raise CheckpointError(
            f"{path}: is a {content.spec[:40]}, no Whisper; name the folder of a Whisper model"
        )
    scalars = {name: v.item() for name, v in content.variables.items() if _is_setting(name, v)}
    _check_settings(scalars, str(path))
    variables = _dequantize(content, str(path))
    dims = _dims(variables, scalars, str(path))
    weights = _unstack(variables, dims, str(path))
    config = folder / CONFIG
    rules = model_folder.read_rules(model_folder.read_object(config), RULES, dims, str(config))
    preprocessor.check(folder, dims)
    text = tokenizer_json.read(tokenizer or folder, dims.vocabulary)
    return WhisperSource(
        dims, weights, text, rules, model_folder.origin_of(folder), model_folder.licence_of(folder)
    )


def _is_setting(name: str, variable: Tensor) -> bool:
    return not variable.dim() and not name.endswith(SCALE)


def _check_settings(scalars: Mapping[str, float], place: str) -> None:
    """A setting that is not Whisper's means another network. One that is unknown and 0 is a feature that is off."""
    expected = {name: value for name, (value, _) in SETTINGS.items()} | EXTRA
    for name, value in scalars.items():
        if name not in HEADS.values() and value != expected.get(name, 0):
            raise CheckpointError(
                f"{place}: {name[:80]} is {value}, in Whisper it is {expected.get(name, 0)}; name a Whisper model"
            )


def _dequantize(content: ModelBin, place: str) -> dict[str, Tensor]:
    """The weights, aliases among them. Integers are divided by their scale: one for each row, or one for all (16 bits).
    The scale of an alias is that of the weight it stands for."""
    found = {name: v for name, v in content.variables.items() if not _is_setting(name, v)}
    scales = {name.removesuffix(SCALE): found.pop(name) for name in list(found) if name.endswith(SCALE)}
    for name, scale in scales.items():
        weight = found.get(name)
        if weight is None or scale.shape not in ((), weight.shape[:1]) or not bool((scale > 0).all()):
            raise CheckpointError(f"{place}: {name[:80]}{SCALE} does not suit its weight; {COPY_AGAIN}")
        found[name] = weight.float() / scale.float().reshape(-1, *[1] * (weight.dim() - 1))
    if scales:
        found = {name: v.float() if v.is_floating_point() else v for name, v in found.items()}
    aliases = {name: found.get(of) for name, of in content.aliases.items() if not name.endswith(SCALE)}
    return found | {name: weight.clone() for name, weight in aliases.items() if weight is not None}


def _dims(variables: Mapping[str, Tensor], scalars: Mapping[str, float], place: str) -> WhisperDims:
    """The sizes, from the shapes. Raises CheckpointError if they show none of Whisper."""

    def size(name: str, rank: int, axis: int) -> int:
        variable = variables.get(name)
        if variable is None or variable.dim() != rank:
            was = "is missing" if variable is None else f"has shape {tuple(variable.shape)}"
            raise CheckpointError(f"{place}: {name} {was}; {COPY_AGAIN}")
        return variable.shape[axis]

    layers = {"encoder": 0, "decoder": 0}
    for match in filter(None, map(LAYER.match, variables)):
        layers[match[1]] = max(layers[match[1]], int(match[2]) + 1)
    for name in HEADS.values():
        if type(scalars.get(name)) is not int:
            raise CheckpointError(f"{place}: {name} is missing, or no whole number; {COPY_AGAIN}")
    dims = WhisperDims(
        mels=size("encoder/conv1/weight", 3, 1),
        audio_context=size("encoder/position_encodings/encodings", 2, 0),
        text_context=size("decoder/position_encodings/encodings", 2, 0),
        dim=size(EMBEDDINGS, 2, 1),
        vocabulary=size(EMBEDDINGS, 2, 0),
        encoder_layers=layers["encoder"],
        encoder_heads=int(scalars[HEADS["encoder_heads"]]),
        encoder_ffn_dim=size("encoder/layer_0/ffn/linear_0/weight", 2, 0),
        decoder_layers=layers["decoder"],
        decoder_heads=int(scalars[HEADS["decoder_heads"]]),
        decoder_ffn_dim=size("decoder/layer_0/ffn/linear_0/weight", 2, 0),
    )
    check_dims(dims, place)
    return dims


def _unstack(variables: dict[str, Tensor], dims: WhisperDims, place: str) -> dict[str, Tensor]:
    """The weights by the names of Hugging Face, each in its own memory. Takes the variables out of the table, so that
    no more than one of them is in memory twice."""
    output = variables.pop(OUTPUT, None)
    if output is not None and not torch.equal(output, variables[EMBEDDINGS]):
        raise CheckpointError(
            f"{place}: {OUTPUT} differs from the token embeddings; only tied models, as Whisper's, are supported"
        )
    weights: dict[str, Tensor] = {}
    for theirs, ours in layout(dims).items():
        variable = variables.pop(theirs, None)
        if variable is None or not variable.dim() or variable.shape[0] % len(ours):
            was = "is missing" if variable is None else f"has shape {tuple(variable.shape)}"
            raise CheckpointError(f"{place}: {theirs} {was}; {COPY_AGAIN}")
        for name, part in zip(ours, variable.chunk(len(ours)), strict=True):
            if not name.endswith(KEY_BIAS):
                weights[name] = part.clone() if len(ours) > 1 else part
            elif part.any():
                raise CheckpointError(
                    f"{place}: {theirs} adds a bias to the keys, which Whisper has not; name a Whisper model"
                )
    check_weights(weights | variables, dims, place)
    return weights


def write(
    folder: Path, source: WhisperSource, quantization: Literal["float16", "float32"] = "float16"
) -> None:
    """All that `ctranslate2.models.Whisper` and `faster_whisper.WhisperModel` load, in a folder.

    Without alignment heads, all of the upper half of the decoder's layers are taken, as OpenAI does.

    Raises ConfigError if the source has no tokenizer, its weights are too large for the type, or the folder cannot be
    made; CheckpointError if its parts do not fit together; OSError where a file cannot be written.
    """
    place = source.origin or "the model"
    text = check_source(source, place)
    tokens = tokenizer_json.token_ids(text, place)
    make_folder(folder)
    with atomic_write(folder / MODEL) as draft:
        model_bin.write(
            draft, ModelBin(SPEC, REVISION, _variables(source, quantization), {OUTPUT: EMBEDDINGS})
        )
    write_text(folder / tokenizer_json.FILE, text)
    for name, plain in (
        (CONFIG, _config(source, tokens)),
        (VOCABULARY, _vocabulary(source.dims, tokens)),
        (preprocessor.FILE, preprocessor.preprocessor_config(source.dims)),
    ):
        write_text(folder / name, json.dumps(plain, indent=1, ensure_ascii=False) + "\n")
    write_text(folder / "README.md", model_folder.card(source.origin, source.licence))


def _variables(source: WhisperSource, quantization: str) -> dict[str, Tensor]:
    dims, dtype = source.dims, TYPES[quantization]
    variables = {name: torch.tensor(value, dtype=kind) for name, (value, kind) in SETTINGS.items()}
    for ours, theirs in HEADS.items():
        variables[theirs] = torch.tensor(getattr(dims, ours), dtype=torch.int16)
    no_bias = torch.zeros(dims.dim)
    largest = torch.finfo(dtype).max
    for theirs, names in layout(dims).items():
        parts = [source.weights.get(name, no_bias).detach().cpu() for name in names]
        if any(part.dtype != dtype and bool((part.abs() > largest).any()) for part in parts):
            raise ConfigError(f"{names[0]}: has numbers too large for {quantization}; write float32")
        parts = [part.to(dtype) for part in parts]
        variables[theirs] = parts[0] if len(parts) == 1 else torch.cat(parts)
    return variables


def _config(source: WhisperSource, tokens: dict[str, int]) -> dict[str, Any]:
    dims, rules = source.dims, source.rules
    upper_half = product(range(dims.decoder_layers // 2, dims.decoder_layers), range(dims.decoder_heads))
    multilingual = tokenizer_json.is_multilingual(dims)
    return {
        "suppress_ids": list(rules.suppress),
        "suppress_ids_begin": list(rules.begin_suppress),
        "alignment_heads": [list(pair) for pair in rules.alignment_heads or upper_half],
        "lang_ids": list(tokenizer_json.languages(tokens).values()) if multilingual else [],
    }


def _vocabulary(dims: WhisperDims, tokens: dict[str, int]) -> list[str]:
    """The token of every id; tokenizers of older models leave out the timestamps."""
    by_id = {number: token for token, number in tokens.items()}
    first = tokens[tokenizer_json.NO_TIMESTAMPS] + 1
    seconds = TIMESTAMP_SECONDS
    names = []
    for i in range(dims.vocabulary):
        missing = f"<|{(i - first) * seconds:.2f}|>" if i >= first else f"<|unused{i}|>"
        names.append(by_id.get(i, missing))  # "" is a token: of all multilingual models
    return names
