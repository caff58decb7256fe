"""Formats of Whisper models: recognise one by what a folder or file holds, and read it."""

from pathlib import Path

from asrattn import files
from asrattn.convert import ctranslate2, huggingface, model_folder, openai
from asrattn.convert.source import WhisperSource
from asrattn.errors import CheckpointError

NAMES = "a folder of Hugging Face, a folder of CTranslate2 (faster-whisper), or a .pt of OpenAI"
ZIP = b"PK\x03\x04"
MAX_NAMED = 3  # files of a folder in an error
MAX_NAME = 200  # characters of a name in an error


def read_any(source: str, tokenizer: Path | None = None) -> WhisperSource:
    """A Whisper model of any format, from a folder, a file or a name of the Hugging Face hub.

    tokenizer: a tokenizer.json, or a folder with one; a file of OpenAI holds none. Raises CheckpointError or
    ConfigError naming what was found.
    """
    try:
        path = huggingface.resolve(source)
        if path.is_dir():
            return _read_folder(path, tokenizer)
        with files.open_file(path) as file:
            start = file.read(len(ZIP))
        if start == ZIP:
            return openai.read(path, tokenizer)
        found = _describe(path)
    except OSError as error:
        place = error.filename or source[:MAX_NAME]
        raise CheckpointError(f"{place}: cannot be read ({error.strerror or error})") from None
    raise CheckpointError(f"{path}: is {found}, not {NAMES}; name one of these")


def _read_folder(folder: Path, tokenizer: Path | None) -> WhisperSource:
    config = folder / huggingface.CONFIG
    if (folder / ctranslate2.MODEL).exists():
        if "model_type" not in model_folder.read_optional(config):
            return ctranslate2.read(folder, tokenizer)
    elif not config.exists() and not (folder / "adapter_config.json").exists():
        names = sorted(path.name for path in folder.iterdir())
        more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
        held = ", ".join(names[:MAX_NAMED]) + more or "nothing"
        raise CheckpointError(f"{folder}: holds {held}, but no {huggingface.CONFIG}; name {NAMES}")
    return huggingface.read(folder, tokenizer)


def _describe(path: Path) -> str:
    if path.stat().st_size == 0:
        return "an empty file"
    if path.suffix in (".safetensors", ".bin", ".json"):
        return f"one file of a model ({path.name}; its folder is {path.parent})"
    return f"a file of an unknown kind ({path.suffix or 'no ending'})"
