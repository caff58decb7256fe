"""Import of pretrained encoders of Hugging Face: wav2vec 2.0, HuBERT, WavLM, data2vec, Wav2Vec2-BERT, Whisper.

The result is a speech model whose encoder is trained and whose decoder and CTC are not: `train --init` begins there.
"""

import json
import logging
import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor

from asrattn import checkpoint
from asrattn.config import JSONValue, from_plain
from asrattn.convert import huggingface, model_folder, preprocessor, weight_files
from asrattn.decoders import RecurrentDecoderConfig
from asrattn.encoders import PretrainedEncoderConfig
from asrattn.encoders.config import PretrainedFamily
from asrattn.encoders.pretrained import DROPOUTS, PretrainedEncoder, known_settings
from asrattn.errors import CheckpointError, ConfigError
from asrattn.features import FeatureConfig
from asrattn.model import ModelConfig
from asrattn.model.speech_model import SpeechModel
from asrattn.text import CharTokenizer

log = logging.getLogger(__name__)

FAMILIES: tuple[PretrainedFamily, ...] = get_args(PretrainedFamily)
UNTRAINED: list[JSONValue] = ["decoder", "ctc"]
CHARACTERS = "".join(sorted(f" '{string.ascii_lowercase}"))
DECODER = RecurrentDecoderConfig(dim=256, embedding=128)
# Settings that our own configuration has, that follow from others, or that are about tokens.
_LEFT_OUT = {*DROPOUTS, "apply_spec_augment", "begin_suppress_tokens", "encoder_layerdrop", "layerdrop"} | {
    "mask_time_length", "mask_time_prob", "num_feat_extract_layers", "suppress_tokens", "vocab_size"
}  # fmt: skip
# Weight norm has had other names in torch before 2.0.
_RENAMED = {"weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"}
_BASES = ("wav2vec2", "hubert", "wavlm", "data2vec_audio", "wav2vec2_bert", "model.encoder")
MAX_SHOWN_WEIGHTS = 5  # weights listed in one log line


def import_encoder(source: Path | str, out: Path) -> None:
    """Write a speech model file with the encoder of a local folder or hub name, an untrained decoder and CTC, and the
    characters a–z, apostrophe and space. Its card has origin, licence and what is untrained.

    Raises ConfigError if transformers is missing and for settings that make no encoder; CheckpointError for a folder of
    another architecture, for files that are missing or damaged, and if `out` cannot be written.
    """
    folder = _folder(source)
    features, encoder = encoder_config(folder)
    tokenizer = CharTokenizer(CHARACTERS)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # the same file each time
        model = SpeechModel(ModelConfig(features, encoder, DECODER, tokenizer.size))
    assert isinstance(model.encoder, PretrainedEncoder)
    load_weights(folder, model.encoder)
    card: dict[str, JSONValue] = {
        "name": model_folder.origin_of(folder).rpartition("/")[2],
        "origin": model_folder.origin_of(folder),
        "licence": model_folder.licence_of(folder) or "unknown",
        "untrained": UNTRAINED,
    }
    checkpoint.save(out, model, tokenizer, card)


def encoder_config(source: Path | str) -> tuple[FeatureConfig, PretrainedEncoderConfig]:
    """The features and the encoder that a local folder or hub name is made of.

    Raises CheckpointError for a missing or damaged file and for another architecture; ConfigError if transformers is
    missing, or if the network has a part that is not supported.
    """
    folder = _folder(source)
    plain = model_folder.read_object(folder / huggingface.CONFIG)
    family = plain.get("model_type")
    if family not in FAMILIES:
        raise CheckpointError(
            f"{folder / huggingface.CONFIG}: model_type {str(family)[:40]!r} is no encoder known here; known are "
            f"{', '.join(FAMILIES)}"
        )
    try:
        encoder = _encoder_config(family, plain)
        return _feature_config(family, model_folder.read_object(folder / preprocessor.FILE)), encoder
    except ConfigError as error:
        raise ConfigError(f"{folder}: {error}") from None


def load_weights(source: Path | str, encoder: PretrainedEncoder) -> None:
    """Give the encoder the weights of a local folder or hub name, in float32. What the encoder has no place for, such
    as a CTC head, is logged.

    Raises CheckpointError as `weight_files.read`, and naming the first weight that is missing or has another shape.
    """
    folder = _folder(source)
    files = [folder / name for name in huggingface.WEIGHT_FILES if (folder / name).exists()]
    if not files:
        raise CheckpointError(
            f"{folder}: holds no {huggingface.WEIGHTS} or {huggingface.OLD_WEIGHTS}; copy or download the whole folder"
        )
    found, unused = _by_our_names(weight_files.read(files[0]), encoder)
    own = encoder.state_dict()
    for name, weight in own.items():
        if name == "layer_weights":  # ours: a plain mean until it is trained
            continue
        if name not in found:
            if name.endswith("masked_spec_embed"):
                log.info("%s: has no embedding of masked frames; it is drawn at random", folder)
                continue
            raise CheckpointError(
                f"{folder}: the weight {name} is missing; is config.json that of another model?"
            )
        if found[name].shape != weight.shape:
            raise CheckpointError(
                f"{folder}: the weight {name} has shape {tuple(found[name].shape)}, config.json says "
                f"{tuple(weight.shape)}; are they of different models?"
            )
        weight.copy_(found[name])
    loaded = sum(own[name].numel() for name in found)
    log.info("%s: loaded %.2f M parameters of the encoder", folder, loaded / 1e6)
    if unused:
        shown = ", ".join(unused[:MAX_SHOWN_WEIGHTS]) + (", …" if len(unused) > MAX_SHOWN_WEIGHTS else "")
        log.info("%s: %d weights do not belong to the encoder: %s", folder, len(unused), shown)


def _folder(source: Path | str) -> Path:
    folder = huggingface.resolve(str(source))
    if not folder.is_dir():
        raise CheckpointError(f"{source}: is not a folder; name one with a {huggingface.CONFIG}")
    return folder


def _encoder_config(family: PretrainedFamily, plain: Mapping[str, Any]) -> PretrainedEncoderConfig:
    """What transformers' configuration says, without what it takes as the default anyway."""
    known = known_settings(family)
    settings = {k: v for k, v in plain.items() if k in known and v != known[k] and k not in _LEFT_OUT}
    default = known.get("hidden_dropout", known.get("dropout"))
    masked = plain.get("apply_spec_augment", known.get("apply_spec_augment", True))
    fields = {
        "kind": "pretrained",
        "family": family,
        "settings": json.dumps(settings, sort_keys=True),
        "mask_time_prob": plain.get("mask_time_prob", known["mask_time_prob"]) if masked else 0.0,
        "mask_time_length": plain.get("mask_time_length", known["mask_time_length"]),
        "dropout": plain.get("hidden_dropout", plain.get("dropout", default)),
    }
    return from_plain(PretrainedEncoderConfig, fields, "encoder")


def _feature_config(family: PretrainedFamily, plain: Mapping[str, Any]) -> FeatureConfig:
    """What preprocessor_config.json says; the defaults are those of transformers."""
    if family == "whisper":
        return FeatureConfig.whisper(plain.get("feature_size", 80))
    fields: dict[str, object] = {"rate": plain.get("sampling_rate", 16000)}
    match family:
        case "wav2vec2-bert":
            if plain.get("stride", 2) != 2:
                raise ConfigError(
                    f"preprocessor_config.json: stride {plain['stride']} is not supported, only 2"
                )
            fields |= {"kind": "seamless", "mels": plain.get("num_mel_bins", 80), "normalize": "utterance"}
        case _:
            normalize = "utterance" if plain.get("do_normalize", True) else "none"
            fields |= {"kind": "wave", "normalize": normalize}
    return from_plain(FeatureConfig, fields, "frontend")


def _by_our_names(
    weights: Mapping[str, Tensor], encoder: PretrainedEncoder
) -> tuple[dict[str, Tensor], list[str]]:
    """The weights by the names of our encoder, and the names of those which it has not."""
    base = next((b for b in _BASES if any(name.startswith(f"{b}.") for name in weights)), None)
    own = encoder.state_dict()
    found, unused = {}, []
    for name, weight in weights.items():
        ours = _our_name(name.removeprefix(f"{base}.") if base else name)
        if ours in own and (base is None or name.startswith(f"{base}.")):
            found[ours] = weight
        else:
            unused.append(name)
    return found, unused


def _our_name(name: str) -> str:
    stem, _, last = name.rpartition(".")
    if last in _RENAMED:
        name = f"{stem}.{_RENAMED[last]}"
    inside = name.removeprefix("feature_extractor.")
    return f"network.convolutions.{inside}" if inside != name else f"network.transformer.{name}"
