"""Clocks that synchronise with the device before they are read."""

import time
from collections.abc import Callable
from typing import NamedTuple

import torch


class Seconds(NamedTuple):
    """Of the wall clock, and of this process on all processors together."""

    wall: float
    cpu: float


def finish(device: str) -> None:
    """Wait until the device has done what it was given."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


def clock(device: str) -> Callable[[], float]:
    """CPU-seconds on a CPU, which other work does not disturb; seconds of the wall clock on any other device."""
    if torch.device(device).type == "cpu":
        return time.process_time

    def wall() -> float:
        finish(device)
        return time.perf_counter()

    return wall


def fastest(work: Callable[[], object], repeats: int, now: Callable[[], float]) -> float:
    """Seconds of the fastest run, after one to warm up."""
    work()
    taken = []
    for _ in range(repeats):
        start = now()
        work()
        taken.append(now() - start)
    return min(taken)


def mean(work: Callable[[], object], device: str, least: float, most: int) -> Seconds:
    """Of one run, without warm-up: the mean over the first `least` seconds of runs, or over `most` runs."""
    finish(device)
    wall, cpu, count = time.perf_counter(), time.process_time(), 0
    while count < most and (count == 0 or time.perf_counter() - wall < least):
        work()
        count += 1
    finish(device)
    return Seconds((time.perf_counter() - wall) / count, (time.process_time() - cpu) / count)
