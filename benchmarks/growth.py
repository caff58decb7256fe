"""Recognition over audio length and beam size: python -m benchmarks.growth --help.

Features, encoder and joint beam search of the architectures that are compared with the peers', one utterance at a
time, 14 characters a second; the weights are drawn, and no decoder ends by itself.
"""

import argparse
import math
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from tqdm import tqdm

from benchmarks.peers import ours
from benchmarks.peers.batches import CHARACTERS, equal_length_waves
from benchmarks.peers.harness import BEAM, EOS_BIAS, Architecture

SECONDS = (2.5, 5.0, 10.0, 20.0, 30.0)  # of an utterance; longer files are cut into such
BEAMS = (1, 2, 4, 8, 16, 32)
BEAM_SWEEP_SECONDS = 10.0  # seconds, for all beams

Curve = dict[float, float]  # CPU-seconds


def main(argv: Sequence[str] | None = None) -> None:
    """Print a row for each architecture and axis, with the power p of its growth between the ends."""
    parser = argparse.ArgumentParser(
        description="cost over length and beam", formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--architectures", nargs="+", choices="TCR", default=["T", "R"])
    parser.add_argument("--repeats", type=int, default=3, help="the fastest counts")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--figure", type=Path, help="an SVG to draw")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    lengths: dict[str, Curve] = {}
    beams: dict[str, Curve] = {}
    for letter in args.architectures:
        step = model(letter)
        bar = partial(tqdm, disable=None, desc=letter, leave=False)
        lengths[letter] = {s: search_seconds(step, s, BEAM, args.repeats) for s in bar(SECONDS)}
        beams[letter] = {b: search_seconds(step, BEAM_SWEEP_SECONDS, b, args.repeats) for b in bar(BEAMS)}
    over = (lengths, beams)
    for curves, axis in zip(over, ("seconds", "beam"), strict=True):
        for letter, curve in curves.items():
            listed = "  ".join(f"{at:g}: {value:.3f}" for at, value in curve.items())
            (low, first), *_, (high, last) = curve.items()
            power = math.log(last / first) / math.log(high / low)
            print(f"{letter} over {axis:8} {listed}   power {power:.2f}")
    if args.figure:
        plot_curves(over, args.figure)


def model(letter: Architecture) -> ours.Step:
    torch.manual_seed(0)
    step = ours.step(letter, "", CHARACTERS).eval()
    with torch.no_grad():
        step.end().fill_(EOS_BIAS)
    return step


@torch.inference_mode()
def search_seconds(step: ours.Step, seconds: float, beam: int, repeats: int) -> float:
    """CPU-seconds for one utterance."""
    given = equal_length_waves(1, seconds)
    times = []
    for _ in range(repeats + 1):
        started = time.process_time()
        step.search(*given, beam)
        times.append(time.process_time() - started)
    return min(times[1:])


def plot_curves(over: Sequence[dict[str, Curve]], path: Path) -> None:
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    names = {
        "T": "transformer 12×256, decoder of 6",
        "C": "conformer 12×256, decoder of 6",
        "R": "BLSTM 3×320, LSTM decoder",
    }
    figure = Figure(figsize=(8, 3.4), layout="constrained")
    titles = (f"seconds of audio, beam {BEAM}", f"beam, {BEAM_SWEEP_SECONDS:g} s of audio")
    for axes, curves, title in zip(figure.subplots(1, 2), over, titles, strict=True):
        for letter, curve in curves.items():
            axes.plot(list(curve), list(curve.values()), marker="o", label=names[letter])
        axes.set(xlabel=title, ylabel="CPU-seconds", xlim=(0, None), ylim=(0, None))
        axes.grid(alpha=0.3)
    figure.axes[0].legend(fontsize=7)
    FigureCanvasSVG(figure)
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
