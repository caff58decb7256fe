"""Hugging Face: read and write the folder of a `transformers.WhisperForConditionalGeneration`."""

import json
import logging
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from asrattn.convert import model_folder, preprocessor, tokenizer_json, weight_files
from asrattn.convert.source import (
    WhisperDims,
    WhisperSource,
    check_dims,
    check_rules,
    check_weights,
    read_dims,
)
from asrattn.errors import CheckpointError, ConfigError
from asrattn.files import atomic_write, make_folder, write_text

log = logging.getLogger(__name__)

CONFIG = "config.json"
GENERATION = "generation_config.json"
WEIGHTS = "model.safetensors"
OLD_WEIGHTS = "pytorch_model.bin"
WEIGHT_FILES = (
    WEIGHTS,
    WEIGHTS + weight_files.INDEX_ENDING,
    OLD_WEIGHTS,
    OLD_WEIGHTS + weight_files.INDEX_ENDING,
)
SIZES = {  # ours: theirs
    "mels": "num_mel_bins",
    "audio_context": "max_source_positions",
    "text_context": "max_target_positions",
    "dim": "d_model",
    "vocabulary": "vocab_size",
    "encoder_layers": "encoder_layers",
    "encoder_heads": "encoder_attention_heads",
    "encoder_ffn_dim": "encoder_ffn_dim",
    "decoder_layers": "decoder_layers",
    "decoder_heads": "decoder_attention_heads",
    "decoder_ffn_dim": "decoder_ffn_dim",
}
# Of every Whisper.
PLAIN = {"activation_function": "gelu", "scale_embedding": False, "tie_word_embeddings": True}
RULES = ("suppress_tokens", "begin_suppress_tokens", "alignment_heads")
MAX_INITIAL_TIMESTAMP = 50  # the first timestamp of a text is at most 1 s, in steps of 0.02 s
HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
HUB_FILES = (
    "*.json",
    "merges.txt",
    "vocabulary.txt",
    "README.md",
    "LICENSE*",
    "model.bin",
    "model-?????-of-?????.safetensors",
    WEIGHTS,
)
HUB_FILES_OLD = (OLD_WEIGHTS, "pytorch_model-?????-of-?????.bin")


def resolve(name: str) -> Path:
    """The folder of a model: a local one, or that of a hub name such as openai/whisper-tiny, downloaded once.

    Raises ConfigError if there is none of that name, or the hub cannot be reached.
    """
    if Path(name).exists():
        return Path(name)
    if not HUB_NAME.fullmatch(name):
        raise ConfigError(f"{name}: does not exist; name a folder, or a model of the hub as OWNER/NAME")
    try:
        from huggingface_hub import snapshot_download

        # The error of the HTTP library, whichever the release uses: what interrupts a download comes through as it is.
        from huggingface_hub.errors import (  # type: ignore[attr-defined]
            HFValidationError,
            HTTPError,
            LocalEntryNotFoundError,
        )
    except ImportError:
        raise ConfigError(
            f"{name}: is no folder, and a model of the hub needs: pip install asrattn[hf]"
        ) from None
    try:
        folder = Path(snapshot_download(name, allow_patterns=list(HUB_FILES)))
        if not any(folder.glob("model*.safetensors")) and not (folder / "model.bin").exists():
            folder = Path(snapshot_download(name, allow_patterns=list(HUB_FILES_OLD)))
    except LocalEntryNotFoundError:
        raise ConfigError(
            f"{name}: is no folder and was not downloaded before, and the hub cannot be reached; check name and network"
        ) from None
    except (HTTPError, HFValidationError, OSError) as error:
        detail = str(error).strip().partition("\n")[0][:120]
        raise ConfigError(
            f"{name}: is no folder, and the hub does not give it ({detail}); check the name"
        ) from None
    return folder


def read(folder: Path, tokenizer: Path | None = None) -> WhisperSource:
    """A folder as `save_pretrained` and the hub have it; weights in safetensors or, as data only, pytorch_model.bin.

    tokenizer: a tokenizer.json, or a folder with one, in the place of the folder's own. Raises CheckpointError naming
    the file, if one is missing or damaged, belongs to another architecture, holds code, or does not suit the others.
    """
    config = read_config(folder)
    dims = read_dims(config, SIZES, str(folder / CONFIG))
    generation = folder / GENERATION
    # Models from before generation_config.json have the same entries in config.json.
    place = generation if generation.exists() else folder / CONFIG
    rules = model_folder.read_rules(model_folder.read_object(place), RULES, dims, str(place))
    if not rules.alignment_heads:
        log.warning(
            "%s: names no alignment heads, so word times are worse; a %s of the same model would have them",
            place,
            GENERATION,
        )
    preprocessor.check(folder, dims)
    text = tokenizer_json.read(tokenizer or folder, dims.vocabulary)
    weights = read_weights(folder, dims)
    return WhisperSource(
        dims, weights, text, rules, model_folder.origin_of(folder), model_folder.licence_of(folder)
    )


def read_config(folder: Path) -> dict[str, Any]:
    """The config.json of a Whisper model. Raises CheckpointError, also if it is of another architecture."""
    path = folder / CONFIG
    if not path.exists() and (folder / "adapter_config.json").exists():
        raise CheckpointError(f"{folder}: is a LoRA adapter, no model; merge it into its model first")
    config = model_folder.read_object(path)
    kind = config.get("model_type")
    if kind != "whisper":
        raise CheckpointError(
            f"{path}: is of model type {str(kind)[:40]!r}; name the folder of a Whisper model"
        )
    for name, value in PLAIN.items():
        if config.get(name, value) != value:
            raise CheckpointError(
                f"{path}: {name} is {str(config[name])[:40]}; only Whisper's own {value} is supported"
            )
    return config


def read_weights(folder: Path, dims: WhisperDims) -> dict[str, Tensor]:
    """The weights by name, without the tied output layer. Raises CheckpointError."""
    found = next((folder / name for name in WEIGHT_FILES if (folder / name).exists()), None)
    if found is None:
        raise CheckpointError(
            f"{folder}: holds no {WEIGHTS} or pytorch_model.bin; copy or download the whole folder of the model"
        )
    weights = weight_files.read(found)
    if not any(name.startswith("model.") for name in weights):  # saved from a WhisperModel
        weights = {f"model.{name}": weight for name, weight in weights.items()}
    output = weights.pop("proj_out.weight", None)
    if output is not None and not _equal(output, weights.get("model.decoder.embed_tokens.weight")):
        raise CheckpointError(
            f"{found}: proj_out.weight differs from the token embeddings; only tied models, as Whisper's, are supported"
        )
    check_weights(weights, dims, str(found))
    return weights


def _equal(a: Tensor, b: Tensor | None) -> bool:
    return b is not None and a.shape == b.shape and a.dtype == b.dtype and torch.equal(a, b)


def write(folder: Path, source: WhisperSource) -> None:
    """All that `WhisperForConditionalGeneration`, `WhisperProcessor` and `AutoTokenizer` load, in a folder.

    Raises ConfigError if the source has no tokenizer or the folder cannot be made, CheckpointError if its parts do not
    fit together, OSError where a file cannot be written.
    """
    place = source.origin or "the model"
    text = check_source(source, place)
    tokens = tokenizer_json.token_ids(text, place)
    make_folder(folder)
    with atomic_write(folder / WEIGHTS) as draft:
        weight_files.write_safetensors(draft, source.weights)
    write_text(folder / tokenizer_json.FILE, text)
    for name, plain in (
        (CONFIG, _config(source, tokens)),
        (GENERATION, _generation_config(source, tokens)),
        (preprocessor.FILE, preprocessor.preprocessor_config(source.dims)),
        ("tokenizer_config.json", _tokenizer_config()),
    ):
        write_text(folder / name, json.dumps(plain, indent=1, ensure_ascii=False) + "\n")
    write_text(folder / "README.md", model_folder.card(source.origin, source.licence))


def check_source(source: WhisperSource, place: str) -> str:
    """The text of the tokenizer. Raises ConfigError if there is none, CheckpointError if parts do not fit together."""
    if source.tokenizer is None:
        raise ConfigError(f"{place}: has no tokenizer, which the folder needs; name a {tokenizer_json.FILE}")
    check_dims(source.dims, place)
    check_weights(source.weights, source.dims, place)
    check_rules(source.rules, source.dims, place)
    tokenizer_json.check(source.tokenizer, source.dims.vocabulary, place)
    return source.tokenizer


def _special_ids(tokens: dict[str, int]) -> dict[str, int]:
    """Both configurations name these."""
    end, start = tokens[tokenizer_json.END], tokens[tokenizer_json.START]
    return {"bos_token_id": end, "eos_token_id": end, "pad_token_id": end, "decoder_start_token_id": start}


def _config(source: WhisperSource, tokens: dict[str, int]) -> dict[str, Any]:
    dtype = source.weights["model.decoder.embed_tokens.weight"].dtype
    return {
        "architectures": ["WhisperForConditionalGeneration"],
        "model_type": "whisper",
        "torch_dtype": str(dtype).removeprefix("torch."),
        **{theirs: getattr(source.dims, ours) for ours, theirs in SIZES.items()},
        "num_hidden_layers": source.dims.encoder_layers,
        **PLAIN,
        **_special_ids(tokens),
        "is_encoder_decoder": True,
        "use_cache": True,
        "dropout": 0.0,
        "attention_dropout": 0.0,
        "activation_dropout": 0.0,
        "encoder_layerdrop": 0.0,
        "decoder_layerdrop": 0.0,
        "init_std": 0.02,
        "median_filter_width": 7,
    }


def _generation_config(source: WhisperSource, tokens: dict[str, int]) -> dict[str, Any]:
    rules = source.rules
    plain: dict[str, Any] = {
        **_special_ids(tokens),
        "suppress_tokens": list(rules.suppress),
        "begin_suppress_tokens": list(rules.begin_suppress),
        "no_timestamps_token_id": tokens[tokenizer_json.NO_TIMESTAMPS],
        "prev_sot_token_id": tokens["<|startofprev|>"],
        "max_initial_timestamp_index": MAX_INITIAL_TIMESTAMP,
        "max_length": source.dims.text_context,
        "return_timestamps": False,
        "is_multilingual": tokenizer_json.is_multilingual(source.dims),
    }
    if rules.alignment_heads:
        plain["alignment_heads"] = [list(pair) for pair in rules.alignment_heads]
    if plain["is_multilingual"]:
        plain["lang_to_id"] = tokenizer_json.languages(tokens)
        plain["task_to_id"] = {
            "transcribe": tokens[tokenizer_json.TRANSCRIBE],
            "translate": tokens[tokenizer_json.TRANSLATE],
        }
    return plain


def _tokenizer_config() -> dict[str, Any]:
    end = tokenizer_json.END
    return {
        "tokenizer_class": "WhisperTokenizer",
        "processor_class": "WhisperProcessor",
        "bos_token": end,
        "eos_token": end,
        "pad_token": end,
        "unk_token": end,
        "add_prefix_space": False,
        "errors": "replace",
        "model_max_length": 1024,
        "clean_up_tokenization_spaces": False,
    }
