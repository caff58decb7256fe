"""Matrix products on this machine: python -m benchmarks.matmul --help.

The products of a feed-forward layer, forward and backward, by torch's own linear map and by ours: what a training step
could reach if it did nothing else.
"""

import argparse
from collections.abc import Sequence

import torch
from torch import nn

from asrattn.layers.linear import Linear
from benchmarks.clock import clock, fastest


def main(argv: Sequence[str] | None = None) -> None:
    """Print a line for each precision and each map: 10^9 operations in a CPU-second."""
    parser = argparse.ArgumentParser(description="matrix products, GFLOP in a CPU-second")
    parser.add_argument("--rows", type=int, default=1500, help="frames in a batch")
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--hidden", type=int, default=2048)
    parser.add_argument("--repeats", type=int, default=15, help="the fastest counts")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    for dtype in (torch.float32, torch.bfloat16):
        for kind in (nn.Linear, Linear):
            layer = kind(args.dim, args.hidden).to(dtype)
            print(f"{dtype!s:15} {kind.__module__:25} {measure_gflops(layer, args.rows, args.repeats):6.0f}")


def measure_gflops(layer: nn.Linear, rows: int, repeats: int) -> float:
    """GFLOP a second of the layer's forward and backward pass; a CPU-second where it is on a CPU."""
    device, dtype = layer.weight.device, layer.weight.dtype
    x = torch.randn(rows, layer.in_features, device=device, dtype=dtype, requires_grad=True)
    push = torch.randn(rows, layer.out_features, device=device, dtype=dtype)
    seconds = fastest(
        lambda: torch.autograd.grad(layer(x), (x, *layer.parameters()), push), repeats, clock(str(device))
    )
    return 3 * 2 * rows * layer.weight.numel() / seconds / 1e9


if __name__ == "__main__":
    main()
