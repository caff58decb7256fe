"""Masks are spans at the right rate; batching and padding change neither mask nor noise."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asrattn.training.pretrain import BestRQConfig
from asrattn.training.pretrain.masking import mask_features, span_mask


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(frames=st.integers(0, 40), prob=st.floats(0.01, 0.9), span=st.integers(1, 50), seed=st.integers(0, 99))
def test_a_frame_is_masked_if_a_span_began_before(frames: int, prob: float, span: int, seed: int) -> None:
    starts = torch.rand(frames, generator=generator(seed)) < prob
    expected = [bool(starts[max(0, f - span + 1) : f + 1].any()) for f in range(frames)]
    assert span_mask(frames, prob, span, generator(seed)).tolist() == expected


@pytest.mark.parametrize(("prob", "span"), [(0.01, 40), (0.05, 4)])
def test_the_share_of_masked_frames_is_that_of_the_formula(prob: float, span: int) -> None:
    masked = span_mask(200_000, prob, span, generator(0))
    assert float(masked.float().mean()) == pytest.approx(1 - (1 - prob) ** span, abs=0.02)


def test_masked_features_are_noise_and_all_others_stay() -> None:
    config = BestRQConfig(mask_prob=0.1, noise_std=0.1)
    feats = torch.full((2, 4000, 3), 5.0)
    lens = torch.tensor([4000, 1000])
    masked, where = mask_features(feats, lens, [1, 2], config, span=10)
    assert not where[1, 1000:].any()
    assert torch.equal(masked[~where], feats[~where])
    noise = masked[where]
    assert float(noise.mean()) == pytest.approx(0, abs=0.01)
    assert float(noise.std()) == pytest.approx(0.1, abs=0.01)
    assert not torch.equal(where[0, :1000], where[1, :1000])
    assert torch.equal(feats, torch.full((2, 4000, 3), 5.0))


@given(lens=st.lists(st.integers(0, 30), min_size=1, max_size=4), padding=st.integers(0, 9))
def test_batching_and_padding_change_nothing(lens: list[int], padding: int) -> None:
    config = BestRQConfig(mask_prob=0.2)
    feats = torch.randn(len(lens), max(lens) + padding, 2, generator=generator(0))
    masked, where = mask_features(feats, torch.tensor(lens), range(len(lens)), config, span=3)
    for b, frames in enumerate(lens):
        one, its = mask_features(feats[b : b + 1, :frames], torch.tensor([frames]), [b], config, span=3)
        assert torch.equal(masked[b, :frames], one[0])
        assert torch.equal(where[b, :frames], its[0])
        assert torch.equal(masked[b, frames:], feats[b, frames:])
