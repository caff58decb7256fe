"""The contract of encoders, over every member of the union."""

from dataclasses import replace
from typing import get_args

import pytest
import torch

from asrattn.encoders import (
    CNNEncoderConfig,
    ConformerConfig,
    EBranchformerConfig,
    EncoderConfig,
    LocalAttentionConfig,
    LSTMEncoderConfig,
    PretrainedEncoderConfig,
    SparseAttentionConfig,
    TransformerEncoderConfig,
    WhisperEncoderConfig,
)
from asrattn.encoders.config import RecurrentEncoderConfig, SelfAttentionEncoderConfig
from asrattn.encoders.interface import build as build_encoder
from asrattn.errors import ConfigError
from asrattn.layers import FramePositions

FEATURES = 20
# test_pretrained.py has the contract of pretrained encoders, which need transformers and have other sizes.
MEMBERS = [member for member in get_args(EncoderConfig) if member is not PretrainedEncoderConfig]
RECURRENT = [member for member in MEMBERS if issubclass(member, RecurrentEncoderConfig)]
STACKS = [member for member in MEMBERS if issubclass(member, SelfAttentionEncoderConfig)]


def small(member, **settings):
    sizes = {"dim": 16, "layers": 3, "heads": 2, "ffn_dim": 24, "gated": 20, "channels": 4, "max_frames": 60}
    return replace(member(), **({k: v for k, v in sizes.items() if hasattr(member(), k)} | settings))


ONE_WAY = [small(member, bidirectional=False) for member in RECURRENT]
ONE_WAY += [small(LSTMEncoderConfig, bidirectional=False, subsampling="pyramid")]
VARIANTS = [small(member) for member in MEMBERS] + ONE_WAY
VARIANTS += [small(member, subsampling="pyramid") for member in RECURRENT]
VARIANTS += [small(member, positions="sinusoidal", factor=2) for member in STACKS]
VARIANTS += [small(ConformerConfig, positions=positions) for positions in get_args(FramePositions)]
VARIANTS += [
    small(member, subsampling="vgg", factor=factor)
    for member, factor in ((LSTMEncoderConfig, 4), (TransformerEncoderConfig, 2), (CNNEncoderConfig, 8))
]
VARIANTS += [small(TransformerEncoderConfig, norm="rms"), small(EBranchformerConfig, norm="rms")]
VARIANTS += [
    small(LSTMEncoderConfig, norm=norm, subsampling=subsampling)
    for norm in ("none", "rms", "batch")
    for subsampling in ("conv", "pyramid")
]
VARIANTS += [small(ConformerConfig, convolution_norm=norm) for norm in ("batch", "rms")]
VARIANTS += [small(CNNEncoderConfig, norm=norm) for norm in ("batch", "rms")]
VARIANTS += [
    small(member, attention=attention, positions=positions)
    for member, positions in zip(STACKS, ("rotary", "relative", "none"), strict=True)
    for attention in (LocalAttentionConfig(window=3), SparseAttentionConfig(block=2, global_frames=2))
]
VARIANTS += [
    small(TransformerEncoderConfig, downsampling=(1, 2)),
    small(ConformerConfig, layers=5, downsampling=(1, 2, 4, 2, 1), attention=LocalAttentionConfig(window=2)),
    small(EBranchformerConfig, downsampling=(2, 3), positions="relative"),
]
VARIANTS += [small(WhisperEncoderConfig, silence_samples=n, silence_seconds=0.1) for n in (0, 1, 4)]


@pytest.fixture(params=dict.fromkeys(VARIANTS), ids=str)
def config(request):
    return request.param


@pytest.fixture
def encoder(config):
    torch.manual_seed(0)
    return build_encoder(config, FEATURES).eval()


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
    output, out_lens, middle = encoder(feats, lens)
    for b in range(3):
        alone = encoder(feats[b : b + 1, : lens[b]], lens[b : b + 1])
        T = int(out_lens[b])
        torch.testing.assert_close(output[b, :T], alone.output[0, :T], atol=1e-5, rtol=1e-4)
        if middle is not None:
            torch.testing.assert_close(middle[b, :T], alone.middle[0, :T], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("training", [False, True])
def test_padding_changes_nothing_and_stays_zero(config, batch, training):
    torch.manual_seed(0)
    encoder = build_encoder(replace(config, dropout=0.0), FEATURES).train(training)
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


def test_bfloat16_is_float32_roughly(encoder, batch):
    exact = encoder(*batch).output
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = encoder(*batch).output
        learned = encoder.train()(*batch).output
    assert (rough - exact).square().mean() < 0.02 * exact.square().mean()
    learned.float().square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in encoder.parameters())


def test_the_shortest_input_gives_no_frame_and_does_not_fail(encoder):
    output, lens, _ = encoder(torch.randn(1, 1, FEATURES), torch.tensor([1]))
    assert lens.item() == encoder.lens(torch.tensor([1])).item()
    assert output.isfinite().all()


@pytest.mark.parametrize("config", ONE_WAY, ids=str)
def test_one_direction_does_not_know_the_future(encoder, batch):
    feats, lens = batch[0][:1], batch[1][:1]
    other = torch.cat((feats[:, :40], torch.randn(1, 21, FEATURES)), dim=1)
    before, after = encoder(feats, lens).output[0], encoder(other, lens).output[0]
    known = int(encoder.lens(torch.tensor([40])))  # frames whose windows end before the change
    torch.testing.assert_close(before[:known], after[:known], atol=1e-6, rtol=1e-6)
    assert not torch.allclose(before[known:], after[known:], atol=1e-3)


@pytest.mark.parametrize("member", MEMBERS)
def test_impossible_sizes_are_told(member):
    if member is not WhisperEncoderConfig:
        with pytest.raises(ConfigError, match="factor is 3"):
            member(factor=3)
    with pytest.raises(ConfigError, match="positive"):
        member(layers=0)


@pytest.mark.parametrize(
    ("member", "settings", "told"),
    [
        (ConformerConfig, {"kernel": 4}, "kernel is 4"),
        (EBranchformerConfig, {"merge": 0}, "merge is 0"),
        (EBranchformerConfig, {"gated": 7}, "gated is 7"),
        (CNNEncoderConfig, {"kernel": 2}, "kernel is 2"),
        (CNNEncoderConfig, {"dilations": ()}, "dilations"),
        (TransformerEncoderConfig, {"downsampling": ()}, "downsampling is none"),
        (TransformerEncoderConfig, {"downsampling": (1, 0)}, "downsampling is 1, 0"),
        (
            TransformerEncoderConfig,
            {"downsampling": (1, 2, 1), "layers": 2},
            "need a layer each; there are 2",
        ),
        (LSTMEncoderConfig, {"subsampling": "pyramid", "layers": 2}, "more than 2 layers"),
        (WhisperEncoderConfig, {"heads": 5}, "384 is no multiple of heads 5"),
        (
            WhisperEncoderConfig,
            {"silence_seconds": 0.0},
            r"silence_seconds is 0.0; it must lie in \[0.1, 30\]",
        ),
        (WhisperEncoderConfig, {"silence_samples": 1501}, r"it must lie in \[0, 1500\], or be none"),
    ],
)
def test_what_else_cannot_be_is_told(member, settings, told):
    with pytest.raises(ConfigError, match=told):
        member(**settings)
