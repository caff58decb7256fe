"""A process for each measurement, in the environment of its side."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.peers.harness import Architecture


@dataclass(frozen=True)
class PeerRun:
    """A side with one of its fronts, an architecture, a precision; it trains, or searches in so many utterances."""

    name: str
    module: str
    architecture: Architecture
    front: str = ""
    bf16: bool = False
    search: int = 0

    def command(self, python: str, threads: int, seconds: float) -> list[str]:
        words = [python, "-m", f"benchmarks.peers.{self.module}", self.architecture, "--front", self.front]
        words += ["--threads", str(threads), "--seconds", str(seconds), "--search", str(self.search)]
        return words + (["--bf16"] if self.bf16 else [])


Measurements = dict[PeerRun, list[dict[str, Any]]]


def measure(command: Sequence[str]) -> dict[str, Any]:
    """What a process prints of itself; nothing, with a word on stderr, if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{' '.join(command)}: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return {}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def median_of(measured: Sequence[dict[str, Any]], key: str) -> float:
    """The median of those that ran, or no number."""
    return float(median([m[key] for m in measured if m] or [float("nan")]))
