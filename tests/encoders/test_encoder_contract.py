"""The contract of encoders, over every member of the union."""

from dataclasses import replace
from typing import get_args

import pytest
import torch

from asrattn import encoders
from asrattn.encoders import EncoderConfig, LSTMEncoderConfig
from asrattn.errors import ConfigError

FEATURES = 20


def small(member, **settings):
    sizes = {"dim": 16, "layers": 3, "heads": 2, "hidden": 24, "channels": 4}
    return replace(member(), **{k: v for k, v in (sizes | settings).items() if hasattr(member(), k)})


VARIANTS = [small(member) for member in get_args(EncoderConfig)]
VARIANTS += [small(member, positions="sinusoidal", factor=2) for member in get_args(EncoderConfig)[1:]]
VARIANTS += [small(LSTMEncoderConfig, bidirectional=False), small(LSTMEncoderConfig, subsampling="pyramid")]


@pytest.fixture(params=VARIANTS, ids=str)
def encoder(request):
    torch.manual_seed(0)
    return encoders.build(request.param, FEATURES).eval()


@pytest.fixture
def batch():
    feats = torch.randn(3, 61, FEATURES)
    lens = torch.tensor([61, 40, 23])
    return feats * (torch.arange(61) < lens[:, None])[..., None], lens


def test_shapes_and_lengths(encoder, batch):
    output, lens, middle = encoder(*batch)
    assert output.shape == (3, int(lens.max()), encoder.dim)
    assert lens.dtype == torch.int64
    assert torch.equal(lens, encoder.lens(batch[1]))
    assert middle is None or middle.shape == output.shape


def test_batched_equals_one_by_one(encoder, batch):
    feats, lens = batch
    output, out_lens, _ = encoder(feats, lens)
    for b in range(3):
        alone = encoder(feats[b : b + 1, : lens[b]], lens[b : b + 1]).output[0]
        torch.testing.assert_close(output[b, : out_lens[b]], alone[: out_lens[b]], atol=1e-5, rtol=1e-4)


def test_padding_changes_nothing_and_stays_zero(encoder, batch):
    feats, lens = batch
    longer = torch.cat((feats, torch.zeros(3, 17, FEATURES)), dim=1)
    output, out_lens, _ = encoder(longer, lens)
    torch.testing.assert_close(output[:, : out_lens.max()], encoder(feats, lens).output, atol=1e-5, rtol=1e-4)
    assert not output[1, out_lens[1] :].any()


def test_every_frame_and_weight_learns(encoder, batch):
    encoder.train()
    feats = batch[0].requires_grad_()
    encoder(feats, batch[1]).output.square().sum().backward()
    assert feats.grad[0].abs().sum(-1).gt(0).float().mean() > 0.9
    assert all(p.grad is not None and p.grad.isfinite().all() for p in encoder.parameters())


def test_the_shortest_input_gives_no_frame_and_does_not_fail(encoder):
    output, lens, _ = encoder(torch.randn(1, 2, FEATURES), torch.tensor([2]))
    assert lens.item() == encoder.lens(torch.tensor([2])).item()
    assert output.isfinite().all()


@pytest.mark.parametrize("member", get_args(EncoderConfig))
def test_impossible_sizes_are_told(member):
    with pytest.raises(ConfigError, match="factor is 3"):
        member(factor=3)
    with pytest.raises(ConfigError, match="positive"):
        member(layers=0)
