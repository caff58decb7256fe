"""Whisper models: the form of other programs (`source`) <-> our own model, exactly."""

from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor

from asrattn.checkpoint import Checkpoint
from asrattn.config import JSONValue
from asrattn.convert.source import WhisperDims, WhisperRules, WhisperSource, check_weights
from asrattn.decoders import WhisperDecoderConfig
from asrattn.decoding import DecodingConfig
from asrattn.encoders import WhisperEncoderConfig
from asrattn.errors import CheckpointError, ConfigError
from asrattn.features import FeatureConfig
from asrattn.model import ModelConfig
from asrattn.model.speech_model import SpeechModel
from asrattn.text import BLANK, UNKNOWN, WhisperTokenizer

DECODING = DecodingConfig(beam_size=5, ctc=0.0, length_norm=1.0, patience=1.0)  # as Whisper's own programs
TRAINING_DATA = "Whisper's training data are not public: nobody can exclude that a test set was among them"


def to_native(
    source: WhisperSource,
    language: str | None = None,
    task: str = "transcribe",
    silence_samples: int | None = None,
) -> Checkpoint:
    """Our model of a Whisper, its weights in float32; the CTC head is untrained.

    silence_samples: see WhisperEncoderConfig; None computes exactly what Whisper does.

    Raises CheckpointError if the tokenizer does not fit or is missing, ConfigError for an unknown language or task.
    """
    if source.tokenizer is None:
        raise CheckpointError(
            f"{source.origin}: holds no tokenizer; name its tokenizer.json with --tokenizer"
        )
    tokenizer = WhisperTokenizer.load(source.tokenizer, source.dims.vocabulary)
    check_weights(source.weights, source.dims, source.origin)
    config = _config(source, tokenizer, tokenizer.prompt(language, task), silence_samples)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = SpeechModel(config)
    state = model.state_dict()
    for name, parts in _names(config):
        if name == "decoder.embed.weight":
            _load_embedding(state[name], source.weights[parts[0]], tokenizer)
        else:
            state[name].copy_(_join(source, parts, state[name]))
    model.spell_with(tokenizer)
    card: dict[str, JSONValue] = {
        "name": source.origin,
        "origin": source.origin,
        "licence": source.licence or "unknown",
        "training_data": TRAINING_DATA,
        "untrained": ["ctc"],
        "dtype": str(next(iter(source.weights.values())).dtype).removeprefix("torch."),
    }
    return Checkpoint(model.eval(), tokenizer, card, DECODING)


def to_source(saved: Checkpoint, dtype: torch.dtype | None = None) -> WhisperSource:
    """The inverse of `to_native`; dtype: of the weights, None for that of the imported model.

    Raises ConfigError for a model that is no Whisper.
    """
    model, tokenizer = saved.model, saved.tokenizer
    encoder, decoder = model.config.encoder, model.config.decoder
    if not (
        isinstance(encoder, WhisperEncoderConfig)
        and isinstance(decoder, WhisperDecoderConfig)
        and isinstance(tokenizer, WhisperTokenizer)
    ):
        raise ConfigError(
            f"a model with a {encoder.kind} encoder and a {decoder.kind} decoder is no Whisper; only those can be "
            "exported to other programs"
        )
    stored = saved.card.get("dtype")
    dtype = dtype or getattr(torch, stored if stored in ("float16", "bfloat16") else "float32")
    dims = _dims(model.config, encoder, decoder, tokenizer)
    state = {name: weight.detach().cpu().to(dtype) for name, weight in model.state_dict().items()}
    weights: dict[str, Tensor] = {}
    for name, parts in _names(model.config):
        if name == "decoder.embed.weight":
            order = [tokenizer.from_whisper(i) for i in range(tokenizer.count)]
            weights[parts[0]] = state[name][order]
            continue
        kept = state[name].chunk(len(parts)) if len(parts) > 1 else (state[name],)
        # A key bias adds the same to all scores of a query: softmax takes it out again, and Whisper has none.
        weights |= {part: each.contiguous() for part, each in zip(parts, kept, strict=True) if part}
    rules = WhisperRules(
        tuple(map(tokenizer.to_whisper, decoder.suppress)),
        tuple(map(tokenizer.to_whisper, decoder.begin_suppress)),
        decoder.alignment_heads,
    )
    origin, licence = (str(saved.card.get(name, "")) for name in ("origin", "licence"))
    return WhisperSource(dims, weights, tokenizer.json, rules, origin, licence)


def _config(
    source: WhisperSource, tokenizer: WhisperTokenizer, prompt: tuple[int, ...], silence_samples: int | None
) -> ModelConfig:
    dims, rules = source.dims, source.rules
    encoder = WhisperEncoderConfig(
        dim=dims.dim,
        layers=dims.encoder_layers,
        heads=dims.encoder_heads,
        ffn_dim=dims.encoder_ffn_dim,
        max_frames=dims.audio_context,
        silence_samples=silence_samples,
    )
    decoder = WhisperDecoderConfig(
        dim=dims.dim,
        layers=dims.decoder_layers,
        heads=dims.decoder_heads,
        ffn_dim=dims.decoder_ffn_dim,
        max_tokens=dims.text_context,
        prompt=prompt,
        suppress=tuple(tokenizer.from_whisper(i) for i in rules.suppress),
        begin_suppress=tuple(tokenizer.from_whisper(i) for i in rules.begin_suppress),
        alignment_heads=rules.alignment_heads,
    )
    features = FeatureConfig.whisper(dims.mels)
    return ModelConfig(features, encoder, decoder, tokenizer.size, "bytes")


def _dims(
    config: ModelConfig,
    encoder: WhisperEncoderConfig,
    decoder: WhisperDecoderConfig,
    tokenizer: WhisperTokenizer,
) -> WhisperDims:
    return WhisperDims(
        config.frontend.mels,
        encoder.max_frames,
        decoder.max_tokens,
        decoder.dim,
        tokenizer.count,
        encoder.layers,
        encoder.heads,
        encoder.ffn_dim,
        decoder.layers,
        decoder.heads,
        decoder.ffn_dim,
    )


def _names(config: ModelConfig) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each weight of ours with those of the source that are stacked in it; "" for zeros."""
    for n in range(2):
        for kind in ("weight", "bias"):
            yield f"encoder.convs.{n}.{kind}", (f"model.encoder.conv{n + 1}.{kind}",)
    yield "encoder.positions", ("model.encoder.embed_positions.weight",)
    yield "decoder.embed.weight", ("model.decoder.embed_tokens.weight",)
    yield "decoder.positions", ("model.decoder.embed_positions.weight",)
    encoder, decoder = cast(WhisperEncoderConfig, config.encoder), cast(WhisperDecoderConfig, config.decoder)
    for part, layers in (("encoder", encoder.layers), ("decoder", decoder.layers)):
        for kind in ("weight", "bias"):
            yield f"{part}.norm.{kind}", (f"model.{part}.layer_norm.{kind}",)
            for layer in range(layers):
                yield from _layer_names(f"{part}.layers.{layer}.", kind, part == "decoder")


def _layer_names(prefix: str, kind: str, cross: bool) -> Iterator[tuple[str, tuple[str, ...]]]:
    theirs = f"model.{prefix}"

    def attention(name: str, products: str) -> tuple[str, ...]:
        return tuple(
            "" if (product, kind) == ("k", "bias") else f"{theirs}{name}.{product}_proj.{kind}"
            for product in products
        )

    own = "self_attention" if cross else "attention"
    yield f"{prefix}{own}.qkv.{kind}", attention("self_attn", "qkv")
    yield f"{prefix}{own}.out.{kind}", (f"{theirs}self_attn.out_proj.{kind}",)
    norms = ["self_attn_layer_norm", *(["encoder_attn_layer_norm"] if cross else []), "final_layer_norm"]
    if cross:
        yield f"{prefix}attention.query.{kind}", attention("encoder_attn", "q")
        yield f"{prefix}attention.key_value.{kind}", attention("encoder_attn", "kv")
        yield f"{prefix}attention.out.{kind}", (f"{theirs}encoder_attn.out_proj.{kind}",)
    for n, norm in enumerate(norms):
        yield f"{prefix}norms.{n}.{kind}", (f"{theirs}{norm}.{kind}",)
    for n, name in ((0, "fc1"), (3, "fc2")):
        yield f"{prefix}feed_forward.{n}.{kind}", (f"{theirs}{name}.{kind}",)


def _join(source: WhisperSource, parts: tuple[str, ...], like: Tensor) -> Tensor:
    rows = len(like) // len(parts)
    return torch.cat(
        [
            source.weights[part].to(like.dtype) if part else like.new_zeros(rows, *like.shape[1:])
            for part in parts
        ]
    )


def _load_embedding(ours: Tensor, theirs: Tensor, tokenizer: WhisperTokenizer) -> None:
    ours[[BLANK, UNKNOWN]] = 0.0
    ours[[tokenizer.from_whisper(i) for i in range(len(theirs))]] = theirs.to(ours.dtype)
