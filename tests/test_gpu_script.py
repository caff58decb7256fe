"""The one command that measures all on a GPU, as far as a CPU can try it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks" / "gpu.sh"
PARTS = ("tests", "steps", "features", "decoding", "resume")


def run(*words: str) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {"PYTHON": sys.executable}
    return subprocess.run([SCRIPT, *words], env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_every_part_runs_on_a_cpu(tmp_path: Path) -> None:
    done = run("--device", "cpu", "--small", "--out", str(tmp_path / "out"), "--commit", "1234abc")
    assert done.returncode == 0, done.stdout + done.stderr
    for part in PARTS:
        assert f"| {part} | done |" in done.stdout
        table = (tmp_path / "out" / f"{part}.md").read_text(encoding="utf-8")
        assert table in done.stdout
        assert "commit 1234abc" in table
        assert "`benchmarks/gpu.sh --device cpu --small" in table
    assert "| LSTM | resumed | 0 | 0 | 0 | yes |" in done.stdout
    assert "not measured" not in done.stdout


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_one_line_says_so(tmp_path: Path) -> None:
    done = run("--out", str(tmp_path / "out"))
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == "check: no GPU is found; --device cpu --small tries the program on a CPU\n"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("words", [("--nonsense",), ("--out",)])
def test_wrong_usage_is_told(words: tuple[str, ...]) -> None:
    done = run(*words)
    assert done.returncode == 2
    assert words[0] in done.stderr
