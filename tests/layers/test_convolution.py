"""Convolutions in the precisions and widths that are hard for a CPU."""

import subprocess
import sys

import pytest
import torch

from asrattn.layers.convolution import Convolution, Depthwise

HARD = """
import torch
from asrattn.layers.convolution import Convolution
torch.manual_seed(0)
for dim in (8, 16, 24, 32):
    for kernel in (15, 31):
        layer = Convolution(dim, kernel)
        x, real = torch.randn(2, 40, dim), torch.ones(2, 40, dtype=torch.bool)
        exact = layer(x, real)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rough = layer(x, real)
        rough.float().square().sum().backward()
        assert all(p.grad.isfinite().all() for p in layer.parameters())
        torch.testing.assert_close(rough.float(), exact, atol=0.05, rtol=0.05)
        layer.bfloat16()(x.bfloat16(), real)
"""


def test_narrow_layers_return_in_bfloat16():
    """oneDNN's kernel never does with 16 channels and 15 frames: in a process of its own, which can be ended."""
    subprocess.run([sys.executable, "-c", HARD], timeout=120, check=True)


@pytest.mark.parametrize("dim", [3, 32])
def test_depthwise_is_its_formula(dim):
    torch.manual_seed(0)
    layer, x = Depthwise(dim, 5), torch.randn(2, 9, dim)
    found = layer(x)
    for t in (0, 1, 4, 8):
        total = layer.bias.clone()
        for k in range(5):
            if 0 <= t + k - 2 < 9:
                total = total + layer.weight[:, 0, 0, k] * x[:, t + k - 2]
        torch.testing.assert_close(found[:, t], total, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", ["layer", "rms", "batch"])
@pytest.mark.parametrize("training", [True, False])
def test_the_module_does_not_see_padding(kind, training):
    torch.manual_seed(0)
    layer, x = Convolution(8, 5, kind).train(training), torch.randn(1, 6, 8)
    padded = torch.cat((x, torch.randn(1, 4, 8)), dim=1)
    real = torch.arange(10)[None] < 6
    torch.testing.assert_close(layer(padded, real)[:, :6], layer(x, real[:, :6]), atol=1e-5, rtol=1e-4)
