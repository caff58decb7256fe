"""Miniature corpora: tiny sounds wherever a layout wants them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from asrattn import audio

Sound = Callable[..., Path]


@pytest.fixture
def sound() -> Sound:
    """`sound(path, seconds=0.1)` writes a tone, in the format of the suffix, and returns the path."""

    def write(path: Path, seconds: float = 0.1, rate: int = 16000) -> Path:
        time = np.arange(round(seconds * rate)) / rate
        path.parent.mkdir(parents=True, exist_ok=True)
        audio.write(path, (0.3 * np.sin(2 * np.pi * 440 * time)).astype(np.float32), rate)
        return path

    return write
