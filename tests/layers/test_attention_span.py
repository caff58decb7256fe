"""Self-attention in blocks against the full one with everything masked that must not be seen."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asrattn.errors import ConfigError
from asrattn.layers import FullAttentionConfig, LocalAttentionConfig, SparseAttentionConfig
from asrattn.layers.attention_span import global_frame_positions
from asrattn.layers.self_attention import SelfAttention

LENS = st.lists(st.integers(0, 90), min_size=1, max_size=3)


def pair(reach, rotary=False, relative=False):
    """The restricted layer, and a full one with the same weights."""
    torch.manual_seed(0)
    layer = SelfAttention(8, 2, 0.0, rotary, relative, reach)
    full = SelfAttention(8, 2, 0.0, rotary, relative, FullAttentionConfig())
    for p in layer.parameters():
        torch.nn.init.normal_(p, std=0.7)
    full.load_state_dict(layer.state_dict())
    return layer, full


def batch(lens):
    real = torch.arange(max(1, *lens, 0))[None] < torch.tensor(lens)[:, None]
    return torch.randn(*real.shape, 8), real


def same(restricted, written, real):
    torch.testing.assert_close(restricted[real], written[real], atol=1e-5, rtol=1e-4)
    assert restricted.isfinite().all()


@given(LENS, st.integers(1, 40), st.sampled_from(["none", "rotary", "relative"]))
def test_a_local_window_is_the_full_attention_masked(lens, window, positions):
    layer, full = pair(LocalAttentionConfig(window=window), positions == "rotary", positions == "relative")
    x, real = batch(lens)
    at = torch.arange(x.shape[1])
    near = (at[:, None] - at).abs() <= window
    same(layer(x, real[:, None]), full(x, real[:, None] & near), real)


@given(LENS, st.integers(1, 20), st.integers(1, 6), st.booleans())
def test_blocks_and_global_frames_are_the_full_attention_masked(lens, block, spread, rotary):
    layer, full = pair(SparseAttentionConfig(block=block, global_frames=spread), rotary)
    x, real = batch(lens)
    seen = torch.zeros(len(lens), x.shape[1], x.shape[1], dtype=torch.bool)
    for b, length in enumerate(lens):
        chosen = {(2 * k + 1) * length // (2 * spread) for k in range(spread)} if length else set()
        for i in range(length):
            for j in range(length):
                seen[b, i, j] = abs(i // block - j // block) <= 1 or i in chosen or j in chosen
    same(layer(x, real[:, None]), full(x, seen), real)


def test_relative_positions_of_sparse_attention_are_those_within_the_blocks():
    """Without global frames in sight, only the blocks matter, and there the positions are the full ones."""
    layer, full = pair(SparseAttentionConfig(block=4, global_frames=1), relative=True)
    x, real = batch([13])
    block, middle = torch.arange(13) // 4, 6
    near = (block[:, None] - block).abs() <= 1
    rows = [i for i in range(13) if near[i, middle] and i != middle]
    found, written = layer(x, real[:, None]), full(x, near[None])
    assert len(rows) == 11
    torch.testing.assert_close(found[0, rows], written[0, rows], atol=1e-5, rtol=1e-4)
    for p in (full.relative.project.weight, full.relative.place):
        torch.nn.init.zeros_(p)
    torch.testing.assert_close(found[0, middle], full(x, real[:, None])[0, middle], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    "reach", [LocalAttentionConfig(window=3), SparseAttentionConfig(block=4, global_frames=7)], ids=str
)
def test_gradients_are_those_of_the_full_attention(reach):
    """A short utterance names global frames twice; they must not learn twice."""
    layer, full = pair(reach)
    x, real = batch([11, 4])
    at = torch.arange(11)
    seen = (at[:, None] - at).abs() <= 3
    if isinstance(reach, SparseAttentionConfig):
        frames, new = global_frame_positions(real.sum(1), 7)
        chosen = torch.stack([torch.isin(at, f[n]) for f, n in zip(frames, new, strict=True)])
        seen = ((at[:, None] // 4 - at // 4).abs() <= 1) | chosen[:, None] | chosen[:, :, None]
    push = torch.randn(2, 11, 8) * real[..., None]
    found = torch.autograd.grad(layer(x, real[:, None]), list(layer.parameters()), push)
    written = torch.autograd.grad(full(x, seen & real[:, None]), list(full.parameters()), push)
    for ours, theirs in zip(found, written, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    "reach", [LocalAttentionConfig(window=16), SparseAttentionConfig(block=16, global_frames=4)], ids=str
)
def test_what_is_kept_grows_linearly_with_the_length(reach):
    layer = SelfAttention(8, 2, 0.1, False, True, reach)

    def kept(frames):
        total = 0

        def pack(tensor):
            nonlocal total
            total += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            layer(torch.randn(1, frames, 8), torch.ones(1, 1, frames, dtype=torch.bool))
        return total

    assert kept(3200) < 2.2 * kept(1600)


def test_impossible_sizes_are_told():
    with pytest.raises(ConfigError, match="window is 0"):
        LocalAttentionConfig(window=0)
    with pytest.raises(ConfigError, match="positive"):
        SparseAttentionConfig(global_frames=0)
