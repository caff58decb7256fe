"""Import a pre-trained model into a model file, and export a Whisper out of one."""

import logging
from pathlib import Path
from typing import Literal

import torch

from asrattn import checkpoint, model_file
from asrattn.convert import ctranslate2, formats, huggingface, model_folder, openai, pretrained, whisper
from asrattn.errors import CheckpointError, ConfigError

log = logging.getLogger(__name__)

ExportFormat = Literal["hf", "ct2", "openai"]
DTYPES = {"float16": torch.float16, "float32": torch.float32}


def import_model(
    source: str,
    out: Path,
    tokenizer: Path | None = None,
    language: str | None = None,
    task: str = "transcribe",
    silence_samples: int | None = None,
) -> Path:
    """Write a model file of a Whisper in any of its formats, or of an encoder of the Hugging Face family.

    language, task: the defaults of a multilingual Whisper. silence_samples: see WhisperEncoderConfig.
    Raises CheckpointError for a source that is damaged or of another kind, ConfigError for options that do not fit it.
    """
    _check_out(out)
    if _is_encoder(source):
        if language or tokenizer or silence_samples is not None:
            raise ConfigError(
                f"{source}: is an encoder; --language, --tokenizer and --silence-samples are Whisper's"
            )
        pretrained.import_encoder(source, out)
        return out
    read = formats.read_any(source, tokenizer)
    made = whisper.to_native(read, language, task, silence_samples)
    dtype = getattr(torch, str(made.card["dtype"]))
    checkpoint.save(out, made.model, made.tokenizer, made.card, made.decoding, dtype)
    log.info("%s: %s, licence: %s", out, made.card["origin"], made.card["licence"])
    return out


def export_model(path: Path, out: Path, form: ExportFormat, dtype: str | None = None) -> Path:
    """Write the Whisper of a model file for another program. Raises ConfigError for a model that is no Whisper, and for
    a file or a folder with files at `out`."""
    if out.is_dir() and form == "openai":
        raise ConfigError(f"--out {out}: is a folder; name a new file")
    if out.is_dir() and any(out.iterdir()):
        raise ConfigError(f"--out {out}: is a folder with files in it; name a new folder")
    if out.is_file():
        raise ConfigError(f"--out {out}: exists already; remove it, or name another")
    source = whisper.to_source(checkpoint.load(path), DTYPES[dtype] if dtype else None)
    match form:
        case "hf":
            huggingface.write(out, source)
        case "openai":
            openai.write(out, source)
        case "ct2":
            stored = next(iter(source.weights.values())).dtype
            ctranslate2.write(out, source, "float16" if stored == torch.float16 else "float32")
    return out


def _check_out(out: Path) -> None:
    """Raises ConfigError for a file that is not an imported model: what was trained is not replaced."""
    if not out.is_file():
        return
    try:
        card = model_file.read(out).get("card", {})
    except CheckpointError:
        card = {}
    if "origin" not in card or "recipe" in card:
        raise ConfigError(
            f"--out {out}: exists already, and is no imported model; remove it, or name another file"
        )


def _is_encoder(source: str) -> bool:
    """Whether a local folder or hub name has an encoder alone."""
    folder = huggingface.resolve(source)
    kind = (
        model_folder.read_optional(folder / huggingface.CONFIG).get("model_type") if folder.is_dir() else None
    )
    return kind in pretrained.FAMILIES and kind != "whisper"
