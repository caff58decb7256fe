"""A Whisper model as other programs keep it: sizes, weights under the names of Hugging Face, tokenizer, rules.

Each format (`huggingface`, `openai`, `ctranslate2`) reads and writes this one form; `whisper` builds our model of it.
"""

from dataclasses import dataclass, field

from torch import Tensor


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
