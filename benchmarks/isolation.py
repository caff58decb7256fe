"""Measurements in a process of their own."""

from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


def run_isolated(work: Callable[..., T], *given: Any) -> T:
    """`work` in a fresh process, whose memory is its own."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(work, given)


def peak_rss_bytes() -> int:
    """Bytes: the most that this process has held so far. getrusage counts what its parent held when it was begun."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
