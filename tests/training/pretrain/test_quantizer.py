"""The random-projection quantizer is the formula of the paper; stacked frames are those of the encoder frame."""

import math
from dataclasses import astuple, replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asrattn.encoders import (
    CNNEncoderConfig,
    ConformerConfig,
    EBranchformerConfig,
    EncoderConfig,
    GRUEncoderConfig,
    LSTMEncoderConfig,
    RNNEncoderConfig,
    TransformerEncoderConfig,
)
from asrattn.encoders.interface import build
from asrattn.encoders.subsampling import build_subsampling
from asrattn.errors import ConfigError
from asrattn.training.pretrain import BestRQConfig
from asrattn.training.pretrain.quantizer import (
    CodebookUsage,
    RandomProjectionQuantizer,
    stack_frames,
    subsampling_factor,
)

CONFIG = BestRQConfig(codebook_size=7, codebook_dim=5, codebooks=2)
ENCODERS: list[EncoderConfig] = [
    *(kind(dim=4, layers=4, channels=2) for kind in (RNNEncoderConfig, GRUEncoderConfig, LSTMEncoderConfig)),
    LSTMEncoderConfig(dim=4, layers=4, subsampling="pyramid"),
    CNNEncoderConfig(dim=4, layers=1, channels=2),
    TransformerEncoderConfig(dim=4, layers=1, heads=1, ffn_dim=4, channels=2, subsampling="vgg"),
    ConformerConfig(dim=4, layers=2, heads=1, ffn_dim=4, channels=2, downsampling=(1, 2)),
    EBranchformerConfig(dim=4, layers=1, heads=1, ffn_dim=4, channels=2, gated=4),
]


@given(seed=st.integers(0, 99), inputs=st.integers(1, 12), frames=st.integers(1, 6))
def test_a_code_is_the_nearest_normalised_vector(seed: int, inputs: int, frames: int) -> None:
    quantizer = RandomProjectionQuantizer(CONFIG, inputs, seed)
    x = torch.randn(frames, inputs, generator=torch.Generator().manual_seed(seed))
    found = quantizer(x)
    assert found.shape == (frames, 2)
    for frame, codes in zip(x.double().numpy(), found.tolist(), strict=True):
        for A, book, code in zip(quantizer.projection, quantizer.codes, codes, strict=True):
            projected = A.double().numpy().T @ frame
            projected /= np.linalg.norm(projected)
            units = book.double().numpy() / np.linalg.norm(book.double().numpy(), axis=1, keepdims=True)
            distances = np.linalg.norm(units - projected, axis=1)
            assert distances[code] == pytest.approx(distances.min(), abs=1e-5)


def test_the_quantizer_is_frozen_and_drawn_from_the_seed() -> None:
    one, same, other = (RandomProjectionQuantizer(CONFIG, 64, seed) for seed in (1, 1, 2))
    assert list(one.parameters()) == []
    assert torch.equal(one.projection, same.projection)
    assert torch.equal(one.codes, same.codes)
    assert not torch.equal(one.projection, other.projection)
    bound = math.sqrt(6 / (64 + 5))  # Xavier
    assert 0.95 * bound < float(one.projection.abs().max()) <= bound
    assert torch.allclose(one.codes.norm(dim=-1), torch.ones(2, 7))


def test_usage_is_that_of_the_counts() -> None:
    even, one = torch.full((1, 4), 5), torch.tensor([[0, 9, 0, 0]])
    for counts, majority, largest, used, entropy, perplexity in (
        (even, 0.25, 0.25, 1.0, math.log(4), 4.0),
        (one, 1.0, 1.0, 0.25, 0.0, 1.0),
        (torch.cat((even, one)), 0.625, 1.0, 0.625, math.log(4) / 2, 2.5),
        (torch.zeros(1, 4), 0.0, 0.0, 0.0, 0.0, 1.0),
    ):
        found = CodebookUsage.of(counts)
        assert astuple(found) == pytest.approx((majority, largest, used, entropy, perplexity))


@pytest.mark.parametrize("config", ENCODERS, ids=lambda c: c.kind)
@pytest.mark.parametrize("factor", [2, 4, 8])
def test_every_encoder_has_its_factor(config: EncoderConfig, factor: int) -> None:
    encoder = build(replace(config, factor=factor), 16)
    assert subsampling_factor(encoder) == factor


def test_an_encoder_without_a_fixed_rate_is_refused() -> None:
    class Uneven:
        dim = 1

        def lens(self, feat_lens: torch.Tensor) -> torch.Tensor:
            return 2 * feat_lens // 5

    with pytest.raises(ConfigError, match=r"model\.encoder: .* BEST-RQ"):
        subsampling_factor(Uneven())  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["conv", "vgg"])
@pytest.mark.parametrize("factor", [2, 4, 8])
def test_an_encoder_frame_sees_all_that_are_stacked_for_it(kind: str, factor: int) -> None:
    """And none before them but the one to which the convolutions of VGG reach out at each level."""
    torch.manual_seed(0)
    front = build_subsampling(kind, 16, 4, 4, factor)  # type: ignore[arg-type]
    feats = torch.randn(1, 80, 16, requires_grad=True)
    lens = torch.tensor([80])
    out, out_lens = front(feats, lens)
    t = 4
    (grad,) = torch.autograd.grad(out[0, t].square().sum(), feats)
    seen = grad[0].abs().sum(1).nonzero().flatten()
    first, last = int(seen.min()), int(seen.max())
    begin = 0 if kind == "conv" else 2 * (factor - 1)
    assert first == factor * t - begin
    assert last >= factor * t + factor - 1
    assert factor * int(out_lens) <= 80
    assert out_lens.tolist() == front.lens(lens).tolist()


def test_stacked_frames_are_neighbours() -> None:
    feats = torch.arange(22).view(1, 11, 2)
    stacked = stack_frames(feats, 4)
    assert stacked.shape == (1, 2, 8)
    assert stacked[0, 1].tolist() == list(range(8, 16))
