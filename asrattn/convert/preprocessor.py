"""preprocessor_config.json: the log-mel features of a Whisper model, as transformers and faster-whisper read them."""

from pathlib import Path
from typing import Any

from asrattn.convert.model_folder import read_optional
from asrattn.convert.source import COPY_AGAIN, WhisperDims
from asrattn.errors import CheckpointError

FILE = "preprocessor_config.json"
RATE = 16000  # samples a second
HOP = 160  # samples
FEATURES = {"sampling_rate": RATE, "hop_length": HOP, "n_fft": 400}  # of every Whisper
CHUNK_SECONDS = 30


def check(folder: Path, dims: WhisperDims) -> None:
    """Raises CheckpointError if the folder's file, if any, has other features than Whisper's."""
    path = folder / FILE
    plain = read_optional(path)
    for name, value in (FEATURES | {"feature_size": dims.mels}).items():
        if plain.get(name, value) != value:
            raise CheckpointError(
                f"{path}: {name} is {str(plain[name])[:40]}, the model needs {value}; {COPY_AGAIN}"
            )


def preprocessor_config(dims: WhisperDims) -> dict[str, Any]:
    """What the file says of a model of these sizes."""
    return {
        "feature_extractor_type": "WhisperFeatureExtractor",
        "processor_class": "WhisperProcessor",
        "feature_size": dims.mels,
        **FEATURES,
        "chunk_length": CHUNK_SECONDS,
        "n_samples": CHUNK_SECONDS * RATE,
        "nb_max_frames": CHUNK_SECONDS * RATE // HOP,
        "padding_side": "right",
        "padding_value": 0.0,
        "return_attention_mask": False,
        "dither": 0.0,
    }
