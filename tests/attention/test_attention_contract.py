"""The contract of attentions over every member of the union."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from attention_cases import LENS, D, Q, T, make, members, queries, run_steps, utterances

from asrattn.attention import ConcatAttentionConfig
from asrattn.attention.interface import build as build_attention
from asrattn.decoding.scorers import select_rows
from asrattn.errors import ConfigError

BLIND = {"concat", "mean", "last"}  # what they look at does not depend on the query
PARTIAL = {"gmm", "monotonic", "mocha"}  # they may leave the utterance, and then see less than one frame
HARD = {"monotonic", "mocha"}  # outside of training they decide instead of weighing


@pytest.fixture(params=members(), ids=str)
def attend(request: pytest.FixtureRequest) -> Any:
    """In training, where all can be differentiated."""
    made = make(request.param)
    made.kind = request.param.kind
    return made


@pytest.fixture(params=members() + [replace(c, begin=0.5) for c in members() if c.kind in HARD], ids=str)
def used(request: pytest.FixtureRequest) -> Any:
    """As in search, and the hard ones once more as in training."""
    made = make(request.param)
    made.kind = request.param.kind
    return made.train(getattr(request.param, "begin", 0) == -1)


def test_weights_are_a_distribution_over_real_frames(used: Any) -> None:
    contexts, weights, _ = run_steps(used, queries(4, K=3), *utterances())
    for context, where in zip(contexts, weights, strict=True):
        assert context.shape == (6, used.dim)
        assert where.shape == (6, T)
        assert where.min() >= 0
        assert not where[3:, 5:].any()
        assert (where.sum(-1) < 1 + 1e-6).all()
        assert used.kind in PARTIAL or (where.sum(-1) > 1 - 1e-6).all()


def test_queries_beside_each_other_equal_one_by_one(used: Any) -> None:
    asked = queries(4, K=3)
    values, mask = utterances()
    contexts, weights, _ = run_steps(used, asked, values, mask)
    for n in range(6):
        b, count = n // 3, LENS[n // 3]
        mine = [query[n : n + 1] for query in asked]
        one, where, _ = run_steps(used, mine, values[b : b + 1, :count], mask[b : b + 1, :count])
        for u in range(4):
            torch.testing.assert_close(contexts[u][n], one[u][0], atol=1e-6, rtol=1e-6)
            torch.testing.assert_close(weights[u][n, :count], where[u][0], atol=1e-6, rtol=1e-6)


def test_hypotheses_take_their_state_along_when_they_are_reordered(used: Any) -> None:
    values, mask = utterances()
    *asked, last = queries(3, K=3)
    order = torch.tensor([2, 0, 0, 5, 3, 4])
    _, _, state = run_steps(used, asked, values, mask)
    context, where, _ = used(last, used.prepare(values, mask), select_rows(state, order))
    contexts, weights, _ = run_steps(used, [*(query[order] for query in asked), last], values, mask)
    torch.testing.assert_close(context, contexts[-1])
    torch.testing.assert_close(where.mean(1), weights[-1])


def test_what_depends_on_the_query_and_what_does_not(attend: Any) -> None:
    values, mask = utterances()
    _, weights, _ = run_steps(attend, queries(2), values, mask)
    _, others, _ = run_steps(attend, [-query for query in queries(2)], values, mask)
    assert torch.allclose(weights[-1], others[-1], atol=1e-9) == (attend.kind in BLIND)


def test_gradients_are_those_of_finite_differences(attend: Any) -> None:
    """Through three steps, so that what goes through the state is seen too."""
    values, mask = utterances()
    parameters = list(attend.parameters())

    def run(values: torch.Tensor, *rest: torch.Tensor) -> tuple[torch.Tensor, ...]:
        contexts, weights, _ = run_steps(attend, list(rest[:3]), values, mask)
        return *contexts, *weights

    leaves = [values, *queries(3), *parameters]
    for leaf in leaves:
        leaf.requires_grad_()
    assert torch.autograd.gradcheck(run, leaves, fast_mode=True)


def test_gradients_reach_query_values_and_weights(attend: Any) -> None:
    values, mask = utterances()
    asked = queries(3)
    for leaf in (values, *asked):
        leaf.requires_grad_()
    contexts, _, _ = run_steps(attend, asked, values, mask)
    torch.stack(contexts).square().sum().backward()
    assert values.grad is not None
    assert values.grad.abs().sum() > 0
    assert all(p.grad is not None and p.grad.isfinite().all() for p in attend.parameters())
    for query in asked:
        assert query.grad is not None or attend.kind in BLIND
        assert query.grad is None or (query.grad.abs().sum() > 1e-9) == (attend.kind not in BLIND)


def test_a_thousand_frames_in_single_precision_stay_finite(attend: Any) -> None:
    attend.float()
    torch.manual_seed(0)
    mask = torch.arange(1000) < torch.tensor([1000, 400])[:, None]
    values = (3 * torch.randn(2, 1000, D) * mask[..., None]).requires_grad_()
    asked = [(5 * torch.randn(2, Q)).requires_grad_() for _ in range(30)]
    contexts, weights, _ = run_steps(attend, asked, values, mask)
    torch.stack(contexts).square().sum().backward()
    assert torch.stack(weights).isfinite().all()
    leaves = [values, *attend.parameters(), *([] if attend.kind in BLIND else asked)]
    assert all(leaf.grad is not None and leaf.grad.isfinite().all() for leaf in leaves)


def test_half_precision_changes_little(attend: Any) -> None:
    attend.float()
    values, mask = utterances()
    asked = [query.float() for query in queries(3)]
    contexts, weights, _ = run_steps(attend, asked, values.float(), mask)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough, looked, _ = run_steps(attend, asked, values.float(), mask)
    for u in range(3):
        assert looked[u].dtype == torch.float32
        torch.testing.assert_close(looked[u], weights[u], atol=0.03, rtol=0.03)
        torch.testing.assert_close(rough[u].float(), contexts[u], atol=0.06, rtol=0.06)


def test_heads_that_cannot_share_are_told() -> None:
    for config in members():
        if "dim" in vars(config) and "heads" in vars(config):
            with pytest.raises(ConfigError, match="dim 8 is no multiple of heads 3"):
                type(config)(dim=8, heads=3)
    with pytest.raises(ConfigError, match="10 features, which is no multiple of heads 3"):
        build_attention(ConcatAttentionConfig(heads=3), Q, D)
    with pytest.raises(ConfigError, match="heads is 0"):
        ConcatAttentionConfig(heads=0)
