"""Real runs of `asrattn train` in processes of their own, which may be told where to fail."""

import contextlib
import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch

from asrattn.training import checkpointing

RECIPE = """
import os, signal, sys
from dataclasses import replace
sys.path.insert(0, {tests!r})
import tones
from asrattn.augment import AugmentConfig
from asrattn.training.module import SpeechLightningModule

still = AugmentConfig(noise=0, stretch=0, warp=0, equalizer=0, frequency_masks=0, time_masks=0)
RECIPE = tones.recipe(epochs=3, save_minutes=0.0)  # a checkpoint after each step
if "STILL" in os.environ:
    RECIPE = replace(RECIPE, augment=still)
else:  # all that is random
    encoder = replace(RECIPE.model.encoder, dropout=0.2)
    RECIPE = replace(RECIPE, model=replace(RECIPE.model, encoder=encoder))

before = SpeechLightningModule.training_step

def step(self, batches, index):
    rank, epoch, number, name = os.environ.get("FAULT", "-1 0 0 SIGKILL").split()
    if (self.global_rank, self.trainer.current_epoch, self.steps) == (int(rank), int(epoch), int(number)):
        os.kill(os.getpid(), getattr(signal, name))
    return before(self, batches, index)

SpeechLightningModule.training_step = step
"""


def start(
    folder: Path, corpus: Path, out: str, *words: str, devices: int = 1, fault: str = "", still: bool = False
) -> "subprocess.Popen[str]":
    """fault: "RANK EPOCH STEP SIGNAL", where a process sends itself a signal. still: without augmentation."""
    recipe = folder / "recipe.py"
    recipe.write_text(RECIPE.format(tests=str(Path(__file__).parents[1])), encoding="utf-8")
    command = [sys.executable, "-m", "asrattn.cli.main", "train", str(recipe)]
    command += ["--data", str(corpus), "--out", str(folder / out), "--accelerator", "cpu"]
    command += ["--devices", str(devices), *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    if fault:
        environment["FAULT"] = fault
    if still:
        environment["STILL"] = "1"
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )


def finish(process: "subprocess.Popen[str]", seconds: float = 300) -> tuple[int, str]:
    """Exit status and stderr."""
    try:
        _, told = process.communicate(timeout=seconds)
    finally:
        kill(process)
    return process.returncode, told


def kill(process: "subprocess.Popen[str]") -> None:
    """With all processes that it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def run(folder: Path, corpus: Path, out: str, *words: str, **options: object) -> tuple[int, str]:
    return finish(start(folder, corpus, out, *words, **options))  # type: ignore[arg-type]


def rows(out: Path) -> list[dict[str, str]]:
    """metrics.csv without what clocks say."""
    with (out / "metrics.csv").open(encoding="utf-8") as table:
        return [{k: v for k, v in row.items() if "seconds" not in k} for row in csv.DictReader(table)]


def same(one: Path, other: Path) -> bool:
    """Whether two runs ended alike, bit for bit: losses, weights, averages, and the optimizer."""
    ours, theirs = (checkpointing.load(out / checkpointing.LAST_CHECKPOINT) for out in (one, other))
    states = [
        {
            **content["state_dict"],
            **{
                f"{i}.{k}": v
                for i, s in content["optimizer_states"][0]["state"].items()
                for k, v in s.items()
            },
        }
        for content in (ours, theirs)
    ]
    equal = states[0].keys() == states[1].keys() and all(
        torch.equal(torch.as_tensor(v), torch.as_tensor(states[1][k])) for k, v in states[0].items()
    )
    return equal and rows(one) == rows(other)


def wait_for(process: "subprocess.Popen[str]", path: Path, seconds: float = 120, newer: float = 0.0) -> None:
    """Until the process has written the file; it does not outlive a failure. newer: than this time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime >= newer:
                return
        time.sleep(0.05)
    kill(process)
    raise AssertionError(f"{path} did not come; {process.communicate()[1]}")


SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
