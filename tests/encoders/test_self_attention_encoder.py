"""Parts of the encoders of self-attention against their formulas."""

import pytest
import torch
from torch.nn.functional import gelu

from asrattn.encoders import ConformerConfig, EBranchformerConfig
from asrattn.encoders.branchformer import BranchMerge, ConvolutionalGatingMLP
from asrattn.encoders.interface import build as build_encoder
from asrattn.encoders.self_attention_encoder import TemporalDownsampling


def around(conv, x, t):
    """A depthwise convolution of x (T, D) at frame t, one frame after the other."""
    total, K = conv.bias.clone(), conv.weight.shape[-1]
    for k in range(K):
        if 0 <= t + k - K // 2 < len(x):
            total = total + conv.weight[:, 0, 0, k] * x[t + k - K // 2]
    return total


def test_branches_are_merged_as_it_is_written():
    torch.manual_seed(0)
    layer, far, near = BranchMerge(4, 3), torch.randn(1, 7, 4), torch.randn(1, 7, 4)
    real = torch.arange(7)[None] < 5
    found = layer(far, near, real)
    both = torch.cat((far[0, :5], near[0, :5]), dim=-1)
    for t in range(5):
        written = layer.out.weight @ (both[t] + around(layer.depthwise, both, t)) + layer.out.bias
        torch.testing.assert_close(found[0, t], written, atol=1e-5, rtol=1e-4)


def test_the_gate_is_a_convolution_of_one_half():
    torch.manual_seed(0)
    layer = ConvolutionalGatingMLP(EBranchformerConfig(dim=4, heads=2, gated=6, kernel=3)).eval()
    x, real = torch.randn(1, 7, 4), torch.arange(7)[None] < 5
    a, b = gelu(layer.inner(x[0, :5])).chunk(2, dim=-1)
    torch.testing.assert_close(layer(x, real)[0, :5], layer.out(a), atol=1e-4, rtol=1e-4)  # open at first
    torch.nn.init.normal_(layer.depthwise.weight)
    gate = torch.stack([around(layer.depthwise, layer.norm(b), t) for t in range(5)])
    torch.testing.assert_close(layer(x, real)[0, :5], layer.out(a * gate), atol=1e-5, rtol=1e-4)


def test_a_lower_rate_is_weighted_means_and_repeats():
    torch.manual_seed(0)
    layer, x, real = (
        TemporalDownsampling(4, 3),
        torch.randn(2, 8, 4),
        torch.arange(8) < torch.tensor([[8], [4]]),
    )
    torch.nn.init.normal_(layer.weights)
    torch.nn.init.uniform_(layer.share)
    low, seen = layer.downsample(x, real)
    assert seen.tolist() == [[True, True, True], [True, True, False]]
    w = layer.weights.exp()
    torch.testing.assert_close(low[0, 1], (w[:, None] * x[0, 3:6]).sum(0) / w.sum())
    torch.testing.assert_close(low[0, 2], (w[:2, None] * x[0, 6:8]).sum(0) / w[:2].sum())
    torch.testing.assert_close(low[1, 1], x[1, 3])
    up = layer.upsample(low, x)
    for t in range(8):
        torch.testing.assert_close(up[0, t], (1 - layer.share) * x[0, t] + layer.share * low[0, t // 3])


@pytest.mark.parametrize(
    ("layers", "rates", "frames"), [(5, (1, 2, 4), [9, 5, 5, 3, 3]), (4, (2, 1), [5, 5, 9, 9])]
)
def test_layers_work_at_their_rates(layers, rates, frames):
    config = ConformerConfig(
        dim=8, layers=layers, heads=2, ffn_dim=8, kernel=3, channels=2, downsampling=rates, factor=2
    )
    encoder, seen = build_encoder(config, 8), []
    for layer in encoder.layers:
        layer.register_forward_hook(lambda _, inputs, output: seen.append(output.shape[1]))
    output, lens, _ = encoder(torch.randn(1, 19, 8), torch.tensor([19]))
    assert seen == frames
    assert output.shape[1] == lens.item() == 9
