"""The tree of what was read against hypotheses that are each read for themselves."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asrattn.layers import kv_cache
from asrattn.layers.kv_cache import KeyValues, KVCache
from asrattn.layers.self_attention import SelfAttention

D, H = 8, 2
# Whom each of two times three hypotheses goes on from.
choices = st.lists(st.integers(0, 2), min_size=6, max_size=6)


def grown(layer: SelfAttention, tree: KVCache, x: torch.Tensor) -> tuple[torch.Tensor, KVCache]:
    """x (N, D) is read after the tree."""
    paths = tree.extended_paths()
    out, nodes = layer.step(x, tree.layers[0], paths, tree.length)
    return out, tree.append([nodes], paths)


@pytest.mark.parametrize("rotary", [False, True])
@settings(max_examples=20)
@given(st.lists(choices, min_size=1, max_size=8), st.integers(0, 3))
def test_a_hypothesis_sees_what_it_has_come_by(rotary: bool, rounds: list[list[int]], kept: int) -> None:
    """Whatever the choices, and however soon dead branches are cut off."""
    torch.manual_seed(0)
    layer = SelfAttention(D, H, 0.0, rotary)
    tree = KVCache.empty(torch.zeros(0), 2, 1, H, D // H)
    tree, read = tree.reorder(torch.tensor([[0] * 3, [1] * 3])), torch.zeros(6, 0, D)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kv_cache, "PRUNE_INTERVAL_TOKENS", kept)
        for chosen in rounds:
            x = torch.randn(6, D)
            read = torch.cat((read, x[:, None]), 1)
            out, tree = grown(layer, tree, x)
            length = read.shape[1]
            alone = layer(read, torch.ones(1, length, length, dtype=torch.bool).tril())[:, -1]
            torch.testing.assert_close(out, alone, atol=1e-5, rtol=1e-4)
            rows = torch.tensor(chosen).view(2, 3) + torch.tensor([[0], [3]])
            tree, read = tree.reorder(rows), read[rows.flatten()]
    assert tree.length == length
    assert (tree.path_mask.sum(2) == length).all()


def test_what_all_have_in_common_is_held_once() -> None:
    layer, tree = SelfAttention(D, H, 0.0, False), KVCache.empty(torch.zeros(0), 1, 1, H, D // H)
    most = 0
    for _ in range(100):
        _, tree = grown(layer, tree, torch.randn(tree.path_mask.shape[1], D))
        tree = tree.reorder(torch.zeros(1, 4, dtype=torch.int64))  # all go on from the best
        most = max(most, tree.path_mask.shape[2])
    assert most <= 100 + 4 * (kv_cache.PRUNE_INTERVAL_TOKENS + 1)


def test_utterances_leave_and_rows_in_any_order_are_for_themselves() -> None:
    torch.manual_seed(0)
    layer = SelfAttention(D, H, 0.0, False)
    tree = KVCache.empty(torch.zeros(0), 3, 1, H, D // H).reorder(torch.arange(3)[:, None].expand(-1, 2))
    _, tree = grown(layer, tree, torch.randn(6, D))
    for u in range(2):
        _, tree = grown(layer, tree.reorder(torch.tensor([[u, 1], [3, 2], [4, 4 + u]])), torch.randn(6, D))
    x = torch.randn(6, D)
    whole, _ = grown(layer, tree, x)
    fewer, _ = grown(layer, tree.reorder(torch.tensor([[0, 1], [5, 4]])), x[[0, 1, 5, 4]])
    torch.testing.assert_close(fewer, whole[[0, 1, 5, 4]])
    any_order = torch.tensor([5, 0, 0, 3])
    alone, lone = grown(layer, tree.reorder(any_order), x[any_order])
    torch.testing.assert_close(alone, whole[any_order])
    assert lone.path_mask.shape[:2] == (4, 1)


def test_a_state_is_not_changed_by_going_on() -> None:
    torch.manual_seed(0)
    layer, tree = SelfAttention(D, H, 0.0, False), KVCache.empty(torch.zeros(0), 1, 1, H, D // H)
    _, tree = grown(layer, tree, torch.randn(1, D))
    x = torch.randn(1, D)
    first, _ = grown(layer, tree, x)
    grown(layer, tree, torch.randn(1, D))
    assert torch.equal(grown(layer, tree, x)[0], first)
    assert isinstance(tree.layers[0], KeyValues)
