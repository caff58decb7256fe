"""A HOME that cannot be written: nothing fails, and nothing is said of caches."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiny

from asrattn.data import manifest
from asrattn.data.manifest import Utterance

NO_HOME = "/proc/self/no-home"  # which nobody can make, not even root


@pytest.mark.slow
@pytest.mark.parametrize("command", ["transcribe", "evaluate", "plot-attention"])
def test_commands_work_without_it(command: str, tmp_path: Path) -> None:
    model, sound = tiny.model_file(tmp_path), tiny.sound(tmp_path / "a.wav", 2.0)
    manifest.write(tmp_path / "test.jsonl", [Utterance("a", str(sound), "the fox", 2.0)])
    words = [command, str(model), str(tmp_path / "test.jsonl" if command == "evaluate" else sound)]
    if command != "transcribe":
        words += ["--out", str(tmp_path / ("out" if command == "evaluate" else "out.html"))]
    kept = {
        k: v for k, v in os.environ.items() if k not in ("XDG_CACHE_HOME", "ASRATTN_GEMM", "MPLCONFIGDIR")
    }
    done = subprocess.run(
        [sys.executable, "-m", "asrattn.cli.main", *words],
        env=kept | {"HOME": NO_HOME},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "cache" not in done.stderr
    assert "no-home" not in done.stderr
