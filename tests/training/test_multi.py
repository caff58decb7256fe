"""Two processes do what one does."""

import csv
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import tones

from asrattn import checkpoint
from asrattn.training.fit import fit

SCRIPT = """
import sys
from dataclasses import replace
from pathlib import Path
import torch
sys.path.insert(0, {tests!r})
import tones
from asrattn.training.fit import fit
torch.set_num_threads(1)
recipe = tones.recipe(epochs=1, learning_rate=1e-9, ema=0.0)
recipe = replace(recipe, data=replace(recipe.data, batch_seconds={seconds}))
fit(recipe, Path(sys.argv[1]), Path(sys.argv[2]), devices=int(sys.argv[3]), accelerator="cpu")
"""


def run(folder: Path, corpus: Path, devices: int, seconds: float) -> dict[str, str]:
    script = folder / "run.py"
    script.write_text(SCRIPT.format(tests=str(Path(__file__).parent), seconds=seconds), encoding="utf-8")
    out = folder / f"out{devices}"
    words = [sys.executable, str(script), str(corpus), str(out), str(devices)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, capture_output=True, text=True, timeout=500, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return result(out)


def result(out: Path) -> dict[str, str]:
    with (out / "metrics.csv").open(encoding="utf-8") as table:
        (row,) = csv.DictReader(table)
    return row | {"utterances": str(checkpoint.load(out / "model.safetensors").card["dev_utterances"])}


@pytest.mark.multi
@pytest.mark.parametrize("seconds", [4.0, 100.0])
def test_two_processes_count_every_dev_utterance_once(corpus: Path, tmp_path: Path, seconds: float) -> None:
    """Also where one process has nothing to decode: in 100 s there is only one batch of dev."""
    recipe = tones.recipe(epochs=1, learning_rate=1e-9, ema=0.0)
    recipe = replace(recipe, data=replace(recipe.data, batch_seconds=seconds))
    alone = result(fit(recipe, corpus, tmp_path / "out1", accelerator="cpu").parent)
    both = run(tmp_path, corpus, 2, seconds)
    assert alone["utterances"] == both["utterances"] == "7"
    for name in ("dev_wer", "dev_cer", "dev_ctc_wer"):
        assert alone[name] == both[name]
    assert float(alone["dev_loss"]) == pytest.approx(float(both["dev_loss"]), rel=1e-4)
    assert int(both["step"]) == -(-int(alone["step"]) // 2)
