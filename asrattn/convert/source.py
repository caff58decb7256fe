"""A Whisper model as other programs keep it: sizes, weights under the names of Hugging Face, tokenizer, rules.

Each format (`huggingface`, `openai`, `ctranslate2`) reads and writes this one form; `whisper` builds our model of it.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor

from asrattn.errors import CheckpointError

MAX_LAYERS = 256  # eight times those of the largest Whisper; bounds what a damaged file can ask for
MAX_SIZE = 2**20  # of any other size
MAX_NUMBERS = 2**31  # in one weight
DTYPES = (torch.float16, torch.bfloat16, torch.float32)
COPY_AGAIN = "copy or download it again"


@dataclass(frozen=True)
class WhisperDims:
    """The sizes of a Whisper model (Radford et al. 2023).

    mels            features of a frame: 80, or 128 from large-v3 on
    audio_context   encoder frames of 30 s
    text_context    positions of the decoder
    """

    mels: int
    audio_context: int
    text_context: int
    dim: int
    vocabulary: int
    encoder_layers: int
    encoder_heads: int
    encoder_ffn_dim: int
    decoder_layers: int
    decoder_heads: int
    decoder_ffn_dim: int


@dataclass(frozen=True)
class WhisperRules:
    """What the decoder must not say, and where it looks; token ids are Whisper's own.

    suppress         tokens that are never chosen
    begin_suppress   tokens that are not chosen first
    alignment_heads  (layer, head) of the cross-attention whose weights follow the audio
    """

    suppress: tuple[int, ...] = ()
    begin_suppress: tuple[int, ...] = ()
    alignment_heads: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class WhisperSource:
    """weights: by the names of `transformers.WhisperForConditionalGeneration`, in their stored type, without the tied
    `proj_out.weight`. tokenizer: the text of a tokenizer.json, None if the format holds none. origin, licence: for the
    card; "" if unknown."""

    dims: WhisperDims
    weights: dict[str, Tensor] = field(repr=False)
    tokenizer: str | None = field(repr=False)
    rules: WhisperRules = WhisperRules()
    origin: str = ""
    licence: str = ""


def weight_shapes(dims: WhisperDims) -> dict[str, tuple[int, ...]]:
    """The name and shape of every weight of a model of these sizes."""
    D = dims.dim
    shapes: dict[str, tuple[int, ...]] = {
        "model.encoder.conv1.weight": (D, dims.mels, 3),
        "model.encoder.conv1.bias": (D,),
        "model.encoder.conv2.weight": (D, D, 3),
        "model.encoder.conv2.bias": (D,),
        "model.encoder.embed_positions.weight": (dims.audio_context, D),
        "model.decoder.embed_tokens.weight": (dims.vocabulary, D),
        "model.decoder.embed_positions.weight": (dims.text_context, D),
    }
    for part in ("encoder", "decoder"):
        shapes |= {f"model.{part}.layer_norm.{name}": (D,) for name in ("weight", "bias")}
        ffn_dim = getattr(dims, f"{part}_ffn_dim")
        for layer in range(getattr(dims, f"{part}_layers")):
            shapes |= _layer_shapes(f"model.{part}.layers.{layer}.", D, ffn_dim, part == "decoder")
    return shapes


def _layer_shapes(prefix: str, D: int, ffn_dim: int, cross: bool) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for attention in ("self_attn", "encoder_attn") if cross else ("self_attn",):
        for product in ("q_proj", "k_proj", "v_proj", "out_proj"):
            shapes[f"{prefix}{attention}.{product}.weight"] = (D, D)
            if product != "k_proj":  # Whisper's keys have no bias
                shapes[f"{prefix}{attention}.{product}.bias"] = (D,)
    for norm in ("self_attn_layer_norm", "encoder_attn_layer_norm", "final_layer_norm"):
        if cross or norm != "encoder_attn_layer_norm":
            shapes |= {f"{prefix}{norm}.weight": (D,), f"{prefix}{norm}.bias": (D,)}
    return shapes | {
        f"{prefix}fc1.weight": (ffn_dim, D),
        f"{prefix}fc1.bias": (ffn_dim,),
        f"{prefix}fc2.weight": (D, ffn_dim),
        f"{prefix}fc2.bias": (D,),
    }


def read_dims(sizes: Mapping[str, object], names: Mapping[str, str], place: str) -> WhisperDims:
    """The sizes of a file that calls them by other names (ours -> theirs).

    Raises CheckpointError if one is missing, is not a positive whole number, or is too large for any Whisper.
    """
    found: dict[str, int] = {}
    for ours, theirs in names.items():
        size = sizes.get(theirs)
        most = MAX_LAYERS if ours.endswith("layers") else MAX_SIZE
        if type(size) is not int or not 1 <= size <= most:
            was = f"is {str(size)[:40]}" if theirs in sizes else "is missing"
            raise CheckpointError(f"{place}: {theirs} {was}, not a number from 1 to {most}; {COPY_AGAIN}")
        found[ours] = size
    dims = WhisperDims(**found)
    check_dims(dims, place)
    return dims


def check_dims(dims: WhisperDims, place: str) -> None:
    """Raises CheckpointError if no Whisper model can have these sizes."""
    wrong = [f"{name} {size}" for name, size in asdict(dims).items() if not 1 <= size <= MAX_SIZE]
    for part in ("encoder", "decoder"):
        heads, layers = getattr(dims, f"{part}_heads"), getattr(dims, f"{part}_layers")
        if layers > MAX_LAYERS:
            wrong.append(f"{part}_layers {layers}")
        if heads > 0 and dims.dim % heads:
            wrong.append(f"{part}_heads {heads} of dimension {dims.dim}")
    if not wrong and max(map(math.prod, weight_shapes(dims).values())) >= MAX_NUMBERS:
        wrong.append(f"a weight of {MAX_NUMBERS} numbers or more")
    if wrong:
        raise CheckpointError(f"{place}: no Whisper has {', '.join(wrong)}; {COPY_AGAIN}")


def check_weights(weights: Mapping[str, Tensor], dims: WhisperDims, place: str) -> None:
    """Raises CheckpointError if a weight is missing, surplus, of another shape or of a type that is not float."""
    shapes = weight_shapes(dims)
    if missing := sorted(shapes.keys() - weights.keys()):
        raise CheckpointError(f"{place}: lacks {_some(missing)}; {COPY_AGAIN}")
    if surplus := sorted(weights.keys() - shapes.keys()):
        raise CheckpointError(
            f"{place}: holds {_some(surplus)}, which Whisper has not; name a Whisper model of the plain architecture"
        )
    for name, weight in weights.items():
        if tuple(weight.shape) != shapes[name]:
            raise CheckpointError(
                f"{place}: {name} has shape {tuple(weight.shape)}, its sizes say {shapes[name]}; {COPY_AGAIN}"
            )
        if weight.dtype not in DTYPES:
            raise CheckpointError(
                f"{place}: {name} is {str(weight.dtype).removeprefix('torch.')}; convert the model to float16, "
                "bfloat16 or float32 first"
            )


def check_rules(rules: WhisperRules, dims: WhisperDims, place: str) -> None:
    """Raises CheckpointError if a token is not in the vocabulary, or a head not in the decoder."""
    for token in (*rules.suppress, *rules.begin_suppress):
        if type(token) is not int or not 0 <= token < dims.vocabulary:
            raise CheckpointError(
                f"{place}: suppresses token {str(token)[:40]}, the vocabulary has {dims.vocabulary}; {COPY_AGAIN}"
            )
    for layer, head in rules.alignment_heads:
        if not (0 <= layer < dims.decoder_layers and 0 <= head < dims.decoder_heads):
            raise CheckpointError(
                f"{place}: alignment head {[layer, head]} is not in a decoder of {dims.decoder_layers} layers and "
                f"{dims.decoder_heads} heads; correct or remove alignment_heads"
            )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 2} more weights" if len(names) > 2 else ""
    return ", ".join(name[:80] for name in names[:2]) + more
