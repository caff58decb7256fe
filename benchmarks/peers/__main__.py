"""Training steps of asrattn, ESPnet and SpeechBrain in alternation: python -m benchmarks.peers --help.

T is a transformer of 12 layers of 256, 4 heads, hidden 2048, with a decoder of 6; C a conformer of 12 layers, hidden
1024, kernel 31, with a decoder of 6; R a BLSTM of 3 layers of 320 with a location-aware LSTM decoder. CTC has 0.3 of
the loss.
"""

import argparse
import json
import sys
from collections.abc import Sequence

import torch
from tqdm import tqdm

from asrattn.layers.linear import Linear
from benchmarks import matmul
from benchmarks.peers.harness import Architecture
from benchmarks.peers.processes import Measurements, PeerRun, measure, median_of

OURS = "asrattn"


def main(argv: Sequence[str] | None = None) -> None:
    """Print a table of what each side does and one of ratios: medians over the rounds."""
    parser = argparse.ArgumentParser(
        description="training steps side by side", formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--espnet", metavar="PYTHON", help="of its environment; left out if not given")
    parser.add_argument("--speechbrain", metavar="PYTHON", help="of its environment; left out if not given")
    parser.add_argument("--architectures", nargs="+", choices="TCR", default=list("TCR"))
    parser.add_argument("--precisions", nargs="+", choices=("fp32", "bf16"), default=["fp32", "bf16"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60.0, help="of audio in a batch")
    args = parser.parse_args(argv)
    pythons = {"ours": sys.executable, "espnet": args.espnet, "speechbrain": args.speechbrain}
    chosen = [run for run in runs(args.architectures) if pythons[run.module]]
    chosen = [run for run in chosen if precision(run) in args.precisions]
    found: Measurements = {run: [] for run in chosen}
    for run in tqdm(chosen * args.rounds, disable=None, unit="run"):
        measured = measure(run.command(pythons[run.module], args.threads, args.seconds))
        found[run].append(measured)
        tqdm.write(f"{run.architecture} {run.name} {precision(run)} {json.dumps(measured)}", file=sys.stderr)
    print(table(found))
    print()
    print(ratios(found))
    print()
    print(matmul_share(found, args.seconds, args.threads))


def runs(architectures: Sequence[Architecture]) -> list[PeerRun]:
    """The sides beside each other, one architecture and precision after the other."""
    found = []
    for letter in architectures:
        for bf16 in (False, True):
            found += [
                PeerRun(OURS, "ours", letter, bf16=bf16),
                PeerRun("ESPnet", "espnet", letter, bf16=bf16),
                PeerRun("SpeechBrain", "speechbrain", letter, bf16=bf16),
            ]
            if letter == "R":
                found.append(PeerRun("SpeechBrain, light front", "speechbrain", letter, "conv", bf16))
            else:
                found.append(PeerRun("asrattn, ESPnet's front", "ours", letter, "256", bf16))
    return found


def table(found: Measurements) -> str:
    lines = [
        "| | side | precision | audio-s/CPU-s | audio-s/s | peak GB | M parameters |",
        "|---|---|---|---|---|---|---|",
    ]
    for run, measured in found.items():
        figures = [
            median_of(measured, key) for key in ("audio_per_cpu", "audio_per_wall", "peak", "parameters")
        ]
        cells = [f"{figure:.{digits}f}" for figure, digits in zip(figures, (1, 1, 2, 1), strict=True)]
        lines.append(f"| {run.architecture} | {run.name} | {precision(run)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def ratios(found: Measurements) -> str:
    """Ours by each of the others, round by round, then the median: speed in CPU time and wall time, memory."""
    lines = [
        "| | ours | theirs | audio-s/CPU-s | audio-s/s | peak memory |",
        "|---|---|---|---|---|---|",
    ]
    for ours in found:
        for theirs in found:
            beside = ours.architecture == theirs.architecture and (ours.bf16 or not theirs.bf16)
            if ours.module != "ours" or theirs.module == "ours" or not beside:
                continue
            pairs = [pair for pair in zip(found[ours], found[theirs], strict=True) if all(pair)]
            keys = ("audio_per_cpu", "audio_per_wall", "peak")
            cells = [f"{median_of([{key: a[key] / b[key]} for a, b in pairs], key):.2f}" for key in keys]
            names = f"{ours.name} {precision(ours)} | {theirs.name} {precision(theirs)}"
            lines.append(f"| {ours.architecture} | {names} | {' | '.join(cells)} |")
    return "\n".join(lines)


def matmul_share(found: Measurements, seconds: float, threads: int) -> str:
    """How much of what this machine can multiply our steps do: their operations against the rate of products."""
    from benchmarks.peers import ours

    torch.set_num_threads(threads)
    layers = {bf16: Linear(256, 2048).to(torch.bfloat16 if bf16 else torch.float32) for bf16 in (False, True)}
    rates = {bf16: matmul.measure_gflops(layer, rows=1500, repeats=15) for bf16, layer in layers.items()}
    lines = [
        "| | side | precision | GFLOP an audio-s | GFLOP/CPU-s | of products alone |",
        "|---|---|---|---|---|---|",
    ]
    for run, measured in found.items():
        if run.module == "ours":
            work = ours.flops_per_audio_second(run.architecture, run.front, run.bf16, seconds) / 1e9
            done = work * median_of(measured, "audio_per_cpu")
            share = f"{work:.2f} | {done:.0f} | {100 * done / rates[run.bf16]:.0f} % of {rates[run.bf16]:.0f}"
            lines.append(f"| {run.architecture} | {run.name} | {precision(run)} | {share} |")
    return "\n".join(lines)


def precision(run: PeerRun) -> str:
    return "bf16" if run.bf16 else "fp32"


if __name__ == "__main__":
    main()
