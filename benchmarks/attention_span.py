"""Self-attention over long audio, by attention span: python -m benchmarks.attention_span --help.

Each measurement is a process of its own, so that its memory is too: bfloat16, 25 frames a second, one utterance.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import torch

from asrattn.layers import AttentionSpan, FullAttentionConfig, LocalAttentionConfig, SparseAttentionConfig
from asrattn.layers.self_attention import SelfAttention
from benchmarks.isolation import peak_rss_bytes, run_isolated

DIM, HEADS, DROPOUT, FRAMES = 256, 4, 0.1, 25
SECONDS = (10, 20, 40, 80, 160, 320, 640, 1200)
SPANS: tuple[AttentionSpan, ...] = (
    FullAttentionConfig(),
    LocalAttentionConfig(window=64),
    SparseAttentionConfig(block=64, global_frames=8),
)
Work = Literal["use", "training"]
SCORE_MATRICES = {"use": 2, "training": 5}  # of all pairs of frames, that full attention holds at a time


class Cost(NamedTuple):
    """CPU-seconds of a call, and the bytes it needs at its peak."""

    cpu: float
    memory: float


def main(argv: Sequence[str] | None = None) -> None:
    """Print a table, and draw it."""
    parser = argparse.ArgumentParser(description="time and memory of full, local and sparse self-attention")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3, help="the fastest counts")
    parser.add_argument("--memory", type=float, default=8.0, help="GB; what needs more is left out")
    parser.add_argument("--figure", type=Path, help="an SVG to draw")
    args = parser.parse_args(argv)
    found: dict[tuple[Work, str], dict[int, Cost]] = {}
    for work in get_args(Work):
        print(f"{work}\nseconds" + "".join(f"   {span.kind + ': ms, MB':>18}" for span in SPANS))
        for seconds in SECONDS:
            cells = []
            for span in SPANS:
                row = found.setdefault((work, span.kind), {})
                if fits(work, span, seconds, args.memory):
                    row[seconds] = run_isolated(measure, work, span, seconds, args.repeats, args.threads)
                cells.append(format_cell(row.get(seconds)))
            print(f"{seconds:7}" + "".join(f"   {text:>18}" for text in cells), flush=True)
        print("   grows with length to the power of, by the two longest: ")
        for span in SPANS:
            print(f"   {span.kind:7} time {growth_exponent(found[work, span.kind], 0):.2f}", end="")
            print(f"   memory {growth_exponent(found[work, span.kind], 1):.2f}")
    if args.figure:
        plot_costs(found, args.figure)


def fits(work: Work, span: AttentionSpan, seconds: int, max_gb: float) -> bool:
    """Whether all pairs of frames go into so many GB; the restricted forms always do."""
    return span.kind != "full" or SCORE_MATRICES[work] * 2 * HEADS * (FRAMES * seconds) ** 2 <= max_gb * 1e9


def measure(work: Work, span: AttentionSpan, seconds: int, repeats: int, threads: int) -> Cost:
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    layer = SelfAttention(DIM, HEADS, DROPOUT, rotary=True, span=span).train(work == "training")
    step(layer, work, FRAMES)  # kernels are built, dropout's row is drawn
    before = peak_rss_bytes()
    times = []
    for _ in range(repeats):
        started = time.process_time()
        step(layer, work, FRAMES * seconds)
        times.append(time.process_time() - started)
    return Cost(min(times), peak_rss_bytes() - before)


def step(layer: SelfAttention, work: Work, T: int) -> None:
    x, mask = torch.randn(1, T, DIM), torch.ones(1, 1, T, dtype=torch.bool)
    with (
        torch.set_grad_enabled(work == "training"),
        torch.autocast("cpu", dtype=torch.bfloat16),
    ):
        y = layer(x, mask)
    if work == "training":
        y.sum().backward()


def format_cell(cost: Cost | None) -> str:
    return "–" if cost is None else f"{1e3 * cost.cpu:.1f}, {cost.memory / 1e6:.0f}"


def growth_exponent(row: dict[int, Cost], part: int) -> float:
    """p, where the last two lengths of the row cost as length ** p."""
    (short, less), (long, more) = list(row.items())[-2:]
    ratio = torch.tensor([long / short, more[part] / max(less[part], 1.0 if part else 1e-6)]).log()
    return float(ratio[1] / ratio[0])


def plot_costs(found: dict[tuple[Work, str], dict[int, Cost]], path: Path) -> None:
    """Time and memory over length, both axes logarithmic."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.4), layout="constrained")
    axes = figure.subplots(1, 2)
    for axis, part, name in zip(axes, (0, 1), ("CPU-seconds", "memory, GB"), strict=True):
        for (work, kind), row in found.items():
            seen = {
                n: cost for n, cost in row.items() if cost.memory > 1e6 or not part
            }  # below is what was there before
            values = [cost[part] / (1e9 if part else 1) for cost in seen.values()]
            color = {"full": "C3", "local": "C0", "sparse": "C2"}[kind]
            style = "-" if work == "training" else "--"
            axis.loglog(list(seen), values, style, color=color, marker=".", label=f"{kind}, {work}")
        axis.set(xlabel="seconds of audio", title=name)
        axis.grid(alpha=0.3)
    axes[0].legend(fontsize=7, handlelength=4)
    FigureCanvasSVG(figure)
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
