"""Decoder protocol of the audio backends, and their errors."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from asrattn.errors import AudioError

Wave = NDArray[np.float32]


class AudioDecoder(Protocol):
    """An open file: rate in Hz, channels, length in frames; what is odd about it, a sentence each."""

    rate: int
    channels: int
    frames: int
    notes: tuple[str, ...]

    def blocks(self, begin: int, count: int) -> Iterator[Wave]:
        """The frames from `begin` on, in parts (n, channels); `count` in all, or what there is."""


def truncation_error(path: Path, where: str) -> AudioError:
    return AudioError(f"{path}: is truncated {where}; copy it again, or convert what is left to a new file")


def explain_decode_error(code: int, text: str) -> str:
    """What libsndfile's (or FFmpeg's, code 0) message means, and what to do."""
    if code == 1:
        return "is not an audio file, or its format is not known; convert it to wav or flac"
    if "SF_INFO struct incomplete" in text:
        return "its header is damaged, it gives a rate or a channel count of 0; record or copy it again"
    if "unimplemented" in text:
        return "is in a coding that is not known (a compressed sphere file?); convert it to wav or flac"
    text = " ".join(text.removeprefix("Error : ").split()).rstrip(".")
    return f"cannot be decoded ({text}); it is damaged or truncated, copy it again or drop it"
