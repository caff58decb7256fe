"""The clock that every side runs under, in its own process: steps, CPU time, wall time, memory."""

import argparse
import json
import resource
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Literal, get_args

import torch
from torch import nn
from torch.optim import Optimizer

from benchmarks.peers.batches import Batch, batches

Architecture = Literal["T", "C", "R"]
CLIP = 5.0
Build = Callable[[Architecture, str], tuple[nn.Module, Optimizer]]


def run(build: Build) -> None:
    """Build the model, train it on every batch, and print what that cost, as a line of JSON.

    The module that is built takes the fields of a Batch and returns the loss; it makes the features itself. The
    first batch comes once more before the clock starts. The others are new to the process, as they are in training.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("architecture", choices=get_args(Architecture))
    parser.add_argument("--front", default="", help="another convolutional front than the usual one")
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60.0, help="of audio in a batch")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    data = batches(args.seconds)
    before = resident()
    model, optimizer = build(args.architecture, args.front)
    model.train()

    def precision() -> AbstractContextManager[None]:
        return torch.autocast("cpu", dtype=torch.bfloat16, enabled=args.bf16)

    def step(batch: Batch) -> float:
        with precision():
            loss = model(*batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return float(loss.detach())

    first = step(data[0])
    cpu, wall = time.process_time(), time.perf_counter()
    losses = [step(batch) for batch in data]
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    audio = sum(batch.seconds for batch in data)
    found = {
        "audio_per_cpu": audio / cpu,
        "audio_per_wall": audio / wall,
        "peak": resident() / 1e9,
        "step": (resident() - before) / 1e9,
        "parameters": sum(p.numel() for p in model.parameters()) / 1e6,
        "losses": [first, *losses],
    }
    print(json.dumps(found))


def resident() -> int:
    """Bytes: the most that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
