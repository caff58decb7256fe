"""Tables for the ledger: a row is printed as soon as it is known."""

import os
from collections.abc import Sequence

import torch

from asrattn import provenance

SEED = 0


def setup(device: str) -> str:
    """One line: on what, with which versions, commit and seed, by which command."""
    parts = [provenance.hardware(torch.device(device)), f"torch {torch.__version__}"]
    if torch.device(device).type == "cuda":
        parts += [f"CUDA {torch.version.cuda}", f"cuDNN {torch.backends.cudnn.version()}"]  # type: ignore[no-untyped-call]
    commit = os.environ.get("BENCHMARK_COMMIT") or provenance.git_commit() or "unknown"
    command = os.environ.get("BENCHMARK_COMMAND", "python -m benchmarks.gpu")
    return ", ".join([*parts, f"commit {commit}", f"seed {SEED}", f"`{command}`"])


def begin(title: str, note: str, columns: Sequence[str], device: str) -> None:
    """A heading, what was measured and on what, and the head of the table."""
    print(f"\n## {title}\n\n{note} {setup(device)}.\n")
    row(columns)
    row(["---"] * len(columns))


def row(cells: Sequence[object]) -> None:
    print("|", " | ".join(map(str, cells)), "|", flush=True)
