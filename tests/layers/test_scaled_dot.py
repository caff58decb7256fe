import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from asrattn.layers.dropout import Dropout
from asrattn.layers.scaled_dot import scaled_dot


def tensors(shape, dtype=torch.float64):
    N, H, Q, K, d = shape
    query, keys, values = (torch.randn(N, H, length, d, dtype=dtype) for length in (Q, K, K))
    return [x.requires_grad_() for x in (query, keys, values)]


def written(query, keys, values, added, dropout):
    """The formula, a product and a softmax at a time, for autograd to differentiate."""
    scores = query @ keys.transpose(-1, -2) / math.sqrt(query.shape[-1])
    return dropout((scores if added is None else scores + added).softmax(-1)) @ values


shapes = st.tuples(*[st.integers(1, n) for n in (3, 2, 5, 6, 4)])
bias = st.sampled_from(["none", "whole", "wide", "hidden"])


@given(shapes, bias, st.sampled_from([0.0, 0.3]), st.integers(0, 99))
def test_it_is_its_formula_and_so_are_its_gradients(shape, kind, p, seed):
    torch.manual_seed(seed)
    (N, H, Q, K, _), given_ = shape, tensors(shape)
    added = {
        "none": None,
        "whole": torch.randn(N, H, Q, K, dtype=torch.float64, requires_grad=True),
        "wide": torch.randn(N, 1, 1, K, dtype=torch.float64, requires_grad=True),
        "hidden": torch.zeros(N, 1, 1, K, dtype=torch.float64),
    }[kind]
    if kind == "hidden":
        added[..., 1:] = torch.finfo(torch.float64).min
    learnt = given_ + ([added] if added is not None and added.requires_grad else [])
    push = torch.randn(N, H, Q, shape[-1], dtype=torch.float64)
    dropout = Dropout(p).train()

    def both(attend):
        torch.manual_seed(seed)
        out = attend(*given_, added, dropout)
        return [out, *torch.autograd.grad(out, learnt, push)]

    for ours, theirs in zip(both(scaled_dot), both(written), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_one_copy_of_the_weights_is_kept_and_nothing_that_the_values_are_a_part_of():
    N, H, L, d = 2, 3, 40, 8
    query, keys, _ = tensors((N, H, L, L, d), torch.float32)
    values = torch.randn(N, L, 3, H, d, requires_grad=True).permute(2, 0, 3, 1, 4)[2]
    kept = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes() // 4
        return tensor

    dropout = Dropout(0.1).train()
    row = dropout.mask(torch.empty(N, H, L, L)).untyped_storage().data_ptr()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        scaled_dot(query, keys, values, None, dropout)
    assert kept.pop(row) > N * H * L * L  # the row that all masks are cut from, held once
    assert sum(kept.values()) == N * H * L * L + 3 * N * H * L * d


def test_bfloat16_queries_and_keys_follow_the_values():
    torch.manual_seed(0)
    query, keys, values = tensors((2, 2, 5, 6, 4), torch.float32)
    exact = scaled_dot(query, keys, values, None, Dropout(0.0))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = scaled_dot(query, keys, values.bfloat16(), None, Dropout(0.0))
    rough.sum().backward()
    assert rough.dtype == torch.bfloat16
    assert query.grad.dtype == torch.float32
    torch.testing.assert_close(rough.float(), exact, atol=0.03, rtol=0.05)
