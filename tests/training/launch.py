"""Real runs of `asrattn train` in processes of their own, which may be told where to fail.

The processes are forked from a server that has imported torch and Lightning once: 20 CPU seconds less for each.
"""

import contextlib
import csv
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch

from asrattn.training import checkpointing

FORKSERVER = multiprocessing.get_context("forkserver")
FORKSERVER.set_forkserver_preload(["asrattn.training.fit", "tensorboard", "torch._dynamo"])

RECIPE = """
import os, signal, sys
from dataclasses import replace
sys.path.insert(0, {tests!r})
import tones
from asrattn.augment import AugmentConfig
from asrattn.training.module import SpeechLightningModule

still = AugmentConfig(noise=0, stretch=0, vtlp=0, equalizer=0, frequency_masks=0, time_masks=0)
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


class Run:
    """One or two processes that train together, as if torchrun had started them; `fault` is an environment variable."""

    def __init__(
        self, words: Sequence[str], devices: int, environment: Mapping[str, str], told: Path
    ) -> None:
        self.told = told
        self.told.write_text("", encoding="utf-8")
        several = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())} if devices > 1 else {}
        self.processes = [
            fork(_train, words, {**environment, **several, "LOCAL_RANK": str(rank)}, told)
            for rank in range(devices)
        ]

    @property
    def pid(self) -> int:
        """Of the first process."""
        return self.processes[0].pid or 0

    def running(self) -> bool:
        return self.processes[0].is_alive()

    def finish(self, seconds: float = 300) -> tuple[int, str]:
        """Exit status of the first process, and what all of them wrote to stderr."""
        end = time.monotonic() + seconds
        for process in self.processes:
            process.join(end - time.monotonic())
        try:
            assert not any(process.is_alive() for process in self.processes), "the run did not end"
        finally:
            self.kill()
        status = self.processes[0].exitcode
        assert status is not None
        return status, self.told.read_text(encoding="utf-8")

    def kill(self) -> None:
        """With all processes that they have started."""
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid or 0, signal.SIGKILL)
            process.join()

    def wait_for(self, path: Path, seconds: float = 120, newer: float = 0.0) -> None:
        """Until it has written the file; it does not outlive a failure. newer: than this time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime >= newer:
                    return
            time.sleep(0.05)
        self.kill()
        raise AssertionError(f"{path} did not come; {self.told.read_text(encoding='utf-8')}")


def fork(function: Callable[..., None], *arguments: object) -> BaseProcess:
    process = FORKSERVER.Process(target=function, args=arguments)
    process.start()
    return process


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _train(words: Sequence[str], environment: Mapping[str, str], told: Path) -> None:
    """Be `asrattn WORDS` with this environment."""
    from lightning.fabric.utilities.rank_zero import rank_zero_only

    from asrattn.cli.main import main

    os.setsid()
    os.environ.update(environment)
    rank_zero_only.rank = int(
        environment["LOCAL_RANK"]
    )  # Lightning takes it from the environment as it is imported
    with told.open("a") as file:
        os.dup2(file.fileno(), sys.stderr.fileno())
    sys.exit(main(words))


def command(folder: Path, corpus: Path, out: str, *words: str, devices: int = 1) -> list[str]:
    """What follows `asrattn`."""
    recipe = folder / "recipe.py"
    recipe.write_text(RECIPE.format(tests=str(Path(__file__).parents[1])), encoding="utf-8")
    command = [
        "train",
        str(recipe),
        "--data",
        str(corpus),
        "--out",
        str(folder / out),
        "--accelerator",
        "cpu",
    ]
    return [*command, "--devices", str(devices), *words]


def start(
    folder: Path, corpus: Path, out: str, *words: str, devices: int = 1, fault: str = "", still: bool = False
) -> Run:
    """fault: "RANK EPOCH STEP SIGNAL", where a process sends itself a signal. still: without augmentation."""
    environment = ({"FAULT": fault} if fault else {}) | ({"STILL": "1"} if still else {})
    typed = command(folder, corpus, out, *words, devices=devices)
    return Run(typed, devices, environment, folder / f"{out}.stderr")


def run(folder: Path, corpus: Path, out: str, *words: str, **options: object) -> tuple[int, str]:
    """Exit status and stderr."""
    return start(folder, corpus, out, *words, **options).finish()  # type: ignore[arg-type]


def run_typed(folder: Path, corpus: Path, out: str, *words: str, devices: int, fault: str) -> tuple[int, str]:
    """As a user types it: Lightning starts the other processes. Exit status and stderr."""
    typed = command(folder, corpus, out, *words, devices=devices)
    process = subprocess.Popen(
        [sys.executable, "-m", "asrattn.cli.main", *typed],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "FAULT": fault},
        start_new_session=True,
    )
    try:
        _, told = process.communicate(timeout=300)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, told


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
