"""Norms: batch norm that does not see padding, against torch's over the real frames put together."""

import pytest
import torch

from asrattn.layers.norm import BatchNorm, apply_norm, build_norm


@pytest.mark.parametrize("lens", [(9, 4, 1), (9, 0, 9), (9, 9, 9)])
def test_batch_norm_is_that_of_the_real_frames_put_together(lens):
    torch.manual_seed(0)
    layer, written = BatchNorm(5), torch.nn.BatchNorm1d(5)
    for p, other in zip(layer.parameters(), written.parameters(), strict=True):
        torch.nn.init.normal_(p)
        other.data.copy_(p)
    real = torch.arange(9) < torch.tensor(lens)[:, None]
    for _ in range(3):
        x = (3 * torch.randn(3, 9, 5) + 2).requires_grad_()
        push = torch.randn(3, 9, 5) * real[..., None]
        found, want = layer(x, real), written(x[real])
        torch.testing.assert_close(found[real], want, atol=1e-5, rtol=1e-4)
        ours = torch.autograd.grad(found, [x, *layer.parameters()], push)
        theirs = torch.autograd.grad(want, [x, *written.parameters()], push[real])
        for one, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(layer.running_mean, written.running_mean)
    torch.testing.assert_close(layer.running_var, written.running_var)
    torch.testing.assert_close(layer.eval()(x, real)[real], written.eval()(x[real]), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("frames", [0, 1])
def test_batch_norm_of_hardly_anything_stays_a_number(frames):
    layer, x = BatchNorm(5), torch.randn(2, 3, 5)
    real = torch.zeros(2, 3, dtype=torch.bool)
    real[0, :frames] = True
    assert layer(x, real).isfinite().all()
    assert torch.equal(layer.running_mean, torch.zeros(5))
    assert torch.equal(layer.running_var, torch.ones(5))


def test_what_is_no_number_is_not_remembered():
    layer, x = BatchNorm(5), torch.randn(2, 3, 5)
    x[1, 1, 2] = float("nan")
    layer(x, torch.ones(2, 3, dtype=torch.bool))
    assert layer.running_mean.isfinite().all()
    assert (layer.running_mean != 0).tolist() == [True, True, False, True, True]


def test_rms_norm_is_its_formula():
    x = torch.randn(2, 3, 5)
    layer = build_norm("rms", 5)
    torch.nn.init.normal_(layer.weight)
    written = x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt() * layer.weight
    torch.testing.assert_close(apply_norm(layer, x, torch.ones(2, 3, dtype=torch.bool)), written)
