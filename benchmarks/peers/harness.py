"""Harness of every side, in its own process: training steps or searches, CPU time, wall time, memory."""

import argparse
import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Literal, Protocol, get_args

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from benchmarks.isolation import peak_rss_bytes
from benchmarks.peers.batches import CHARACTERS, RATE, VOCABULARY, Batch, batches, equal_length_waves

Architecture = Literal["T", "C", "R"]
BEAM, CTC_SHARE = 10, 0.3
CLIP = 5.0
EOS_BIAS = -1e4  # no decoder ends by itself, so that the untrained models of all sides take as many steps


class Toolkit(Protocol):
    """A module that takes the fields of a Batch and returns the loss; it makes the features itself."""

    def end(self) -> Tensor:
        """The bias of EOS in the decoder's output, a view of one number."""
        ...

    def search(self, wave: Tensor, wave_lens: Tensor, count: int) -> list[int]:
        """Joint beam search, BEAM wide, with a share of CTC, up to `count` tokens: how many each utterance has."""
        ...


Build = Callable[[Architecture, str, int], tuple[nn.Module, Optimizer]]  # with a front, for a vocabulary


def run(build: Build) -> None:
    """Build the model, train it or search with it, and print what that cost, as a line of JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("architecture", choices=get_args(Architecture))
    parser.add_argument("--front", default="", help="another convolutional front than the usual one")
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60.0, help="of audio in a batch, or in an utterance")
    parser.add_argument("--search", type=int, default=0, metavar="N", help="search in N utterances at once")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    print(json.dumps(search(build, args) if args.search else train(build, args)))


def train(build: Build, args: argparse.Namespace) -> dict[str, Any]:
    """One step on every batch.

    The first batch comes once more before the clock starts. The others are new to the process, as they are in training.
    """
    data = batches(args.seconds)
    before = peak_rss_bytes()
    model, optimizer = build(args.architecture, args.front, VOCABULARY)
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
    return {
        "audio_per_cpu": audio / cpu,
        "audio_per_wall": audio / wall,
        "peak": peak_rss_bytes() / 1e9,
        "step": (peak_rss_bytes() - before) / 1e9,
        "parameters": sum(p.numel() for p in model.parameters()) / 1e6,
        "losses": [first, *losses],
    }


def search(build: Build, args: argparse.Namespace) -> dict[str, Any]:
    """The same utterances searched again and again, until ten seconds are over; the first time does not count."""
    wave, wave_lens, count = equal_length_waves(args.search, args.seconds)
    model: Any = build(args.architecture, args.front, CHARACTERS)[0].eval()
    with torch.inference_mode():
        model.end().fill_(EOS_BIAS)
        found = model.search(wave, wave_lens, count)
        times: list[float] = []
        began = time.perf_counter()
        while len(times) < 2 or time.perf_counter() - began < 10:
            cpu = time.process_time()
            model.search(wave, wave_lens, count)
            times.append(time.process_time() - cpu)
    audio = int(wave_lens.sum()) / RATE
    return {
        "cost": sorted(times)[len(times) // 2] / audio,
        "fastest": min(times) / audio,
        "peak": peak_rss_bytes() / 1e9,
        "tokens": found,
    }
