"""Two processes pre-train as one does."""

from pathlib import Path

import launch
import pytest
import tones

pytestmark = pytest.mark.multi

RECIPE = """
import sys
sys.path.insert(0, {tests!r})
import tones
RECIPE = tones.recipe(epochs=2)
"""
SETTINGS = (
    "data.batch_seconds=100",
    "bestrq.codebook_size=16",
    "bestrq.mask_prob=0.03",
    "bestrq.mask_span=0.08",
)


def test_two_processes_predict_as_one(corpus: Path, tmp_path: Path) -> None:
    """Also where one process has nothing to validate: 100 s is all of dev."""
    recipe = tmp_path / "recipe.py"
    recipe.write_text(RECIPE.format(tests=str(Path(tones.__file__).parent)), encoding="utf-8")
    for devices in (1, 2):
        words = ["pretrain", str(recipe), "--data", str(corpus), "--out", str(tmp_path / str(devices))]
        words += ["--accelerator", "cpu", "--devices", str(devices)]
        for setting in SETTINGS:
            words += ["--set", setting]
        environment = (
            {} if devices == 1 else {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(launch.free_port())}
        )
        run = launch.Run(words, devices, environment, tmp_path / f"{devices}.stderr")
        status, told = run.finish()
        assert status == 0, told
    one, two = (launch.rows(tmp_path / name) for name in ("1", "2"))
    assert len(one) == len(two) == 2
    for ours, theirs in zip(one, two, strict=True):
        for name in ("step", "dev_majority", "dev_code_perplexity"):
            assert ours[name] == theirs[name]
        for name in ("train_loss", "train_accuracy", "dev_loss", "dev_accuracy"):
            assert float(ours[name]) == pytest.approx(float(theirs[name]), rel=1e-4), name
