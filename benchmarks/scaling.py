"""Scaling to many GPUs, simulated: python -m benchmarks.scaling --help.

The plan of steps is the real one, made for lengths like those of read books (LibriSpeech: 12.3 s on average, most
between 10 and 17 s); how long a GPU takes is computed from the figures given, decoding is measured here. A step takes

    max over processes of (its padded audio · cost / rate) + what of the gradient exchange the backward pass cannot hide

and input has to keep up with the sum.
"""

import argparse
import io
import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import soundfile

from asrattn.training.data.sampler import epoch_batches, micro_batches_of_rank

OVERLAP_FRACTION = (
    0.6  # share of a step in which gradients can travel beside the work: all of the backward pass but its end
)
RATE = 16000


@dataclass(frozen=True)
class Machine:
    """flops: what a GPU reaches on this model. bandwidth: bytes a second between nodes, for each GPU."""

    flops: float
    bandwidth: float
    latency: float = 30e-6  # seconds a hop


@dataclass(frozen=True)
class Scaling:
    gpus: int
    balance: float  # mean over processes of the work, as a share of the slowest one's
    padding: float
    step: float  # seconds
    all_reduce: float  # seconds of the step in which only gradients move
    audio: float  # seconds of audio a second, all GPUs together

    @property
    def efficiency(self) -> float:
        """Against as many GPUs as would never wait."""
        return self.balance * (1 - self.padding) * (1 - self.all_reduce / self.step)


def main(argv: Sequence[str] | None = None) -> None:
    """Print a line for each number of GPUs."""
    parser = argparse.ArgumentParser(description="limits of 8, 64 and 512 GPUs, from a simulated epoch")
    parser.add_argument("--gpus", type=int, nargs="+", default=[1, 8, 64, 512])
    parser.add_argument("--parameters", type=float, default=100e6)
    parser.add_argument(
        "--flop", type=float, default=22e9, help="for a second of audio, forward and backward"
    )
    parser.add_argument("--flops", type=float, default=300e12, help="reached by a GPU")
    parser.add_argument("--bandwidth", type=float, default=50e9, help="bytes a second, for each GPU")
    parser.add_argument("--seconds", type=float, default=300, help="of audio on a GPU in a step")
    parser.add_argument("--hours", type=float, default=960)
    args = parser.parse_args(argv)
    machine = Machine(args.flops, args.bandwidth)
    lengths = book_lengths(args.hours)
    decoded = flac_decode_speed()
    print(
        f"flac: {decoded:.0f} s of audio decoded a second by one core, {flac_bytes() / 1e3:.0f} kB a second of audio"
    )
    for gpus in args.gpus:
        found = simulate(lengths, gpus, args.seconds, args.parameters, args.flop, machine)
        print(
            f"{gpus:4} GPUs   step {1000 * found.step:4.0f} ms   balance {100 * found.balance:5.1f} %   "
            f"padding {100 * found.padding:3.1f} %   exchange alone {1000 * found.all_reduce:5.1f} ms   "
            f"efficiency {100 * found.efficiency:5.1f} %   {found.audio:9.0f} audio-s/s   "
            f"input {found.audio * flac_bytes() / 1e6:6.0f} MB/s, {found.audio / gpus / decoded:3.1f} cores a GPU"
        )


def simulate(
    lengths: Sequence[float], gpus: int, seconds: float, parameters: float, flop: float, machine: Machine
) -> Scaling:
    """An epoch's steps of `seconds` of audio on each of the GPUs."""
    steps = epoch_batches(lengths, seconds * gpus, seed=0, epoch=0)
    slowest = work = audio = padded = 0.0
    for step in steps:
        parts = [micro_batches_of_rank(step, lengths, seconds, gpus, rank) for rank in range(gpus)]
        costs = [sum(len(p) * max((lengths[i] for i in p), default=0.0) for p in part) for part in parts]
        slowest += max(costs) * flop / machine.flops
        work += sum(costs) / gpus * flop / machine.flops
        padded += sum(costs)
        audio += sum(lengths[i] for i in step)
    travel = all_reduce_seconds(parameters, gpus, machine)
    alone = max(0.0, travel - OVERLAP_FRACTION * slowest / len(steps))
    step_time = slowest / len(steps) + alone
    return Scaling(
        gpus, work / slowest, 1 - audio / padded, step_time, alone, audio / (step_time * len(steps))
    )


def all_reduce_seconds(parameters: float, gpus: int, machine: Machine) -> float:
    """Seconds of an all-reduce of float32 gradients at full bandwidth (double binary trees, Sanders et al. 2009)."""
    hops = 2 * math.ceil(math.log2(gpus))
    return 2 * (gpus - 1) / gpus * 4 * parameters / machine.bandwidth + hops * machine.latency


def book_lengths(hours: float) -> list[float]:
    """Lengths like LibriSpeech's: four of five cut at 11 to 17 s, the others shorter."""
    draw = random.Random(0)
    lengths: list[float] = []
    total = 0.0
    while total < hours * 3600:
        long = draw.random() < 0.72
        lengths.append(min(draw.gauss(14.6, 1.2), 17.0) if long else draw.uniform(1.5, 11.0))
        total += lengths[-1]
    return lengths


def make_speech() -> np.ndarray:
    """(S,) 20 s of noise with speech's spectrum, roughly, and its pauses."""
    draw = np.random.default_rng(0)
    noise = np.cumsum(draw.normal(0, 1, 20 * RATE))
    noise -= np.convolve(noise, np.ones(400) / 400, "same")
    loud = np.repeat(np.clip(draw.normal(0.5, 0.5, 200), 0, 1), RATE // 10)
    samples: np.ndarray = (0.3 * noise / np.abs(noise).max() * loud).astype(np.float32)
    return samples


def flac() -> bytes:
    out = io.BytesIO()
    soundfile.write(out, make_speech(), RATE, format="FLAC", subtype="PCM_16")
    return out.getvalue()


def flac_bytes() -> float:
    """For a second of audio."""
    return len(flac()) / 20


def flac_decode_speed() -> float:
    """Seconds of audio that one core decodes a second."""
    content = flac()
    start, rounds = time.process_time(), 40
    for _ in range(rounds):
        soundfile.read(io.BytesIO(content), dtype="float32")
    return 20 * rounds / (time.process_time() - start)


if __name__ == "__main__":
    main()
