"""The CTC prefix scores against three oracles: all alignments, the recursion over frames, torch's CTC loss."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import F64, ctc_by_alignments, ctc_by_recursion, utterances

from asrattn.decoding.ctc_prefix import CTCPrefixScorer
from asrattn.decoding.scorers import select_rows
from asrattn.text import BLANK, EOS


def feed(scorer: CTCPrefixScorer, tokens: list[list[int]]) -> list[torch.Tensor]:
    """tokens (N, U), all of one length -> ψ of every continuation of every prefix, U + 1 times (N, V)."""
    state = scorer.start(len(tokens))
    found = []
    prefix = torch.zeros(len(tokens), 1, dtype=F64)
    for column in torch.tensor([[EOS, *row] for row in tokens]).T:
        increments, state = scorer.score(state, column)
        found.append(prefix + increments)
        torch.testing.assert_close(found[-1], state.scores, rtol=0, atol=1e-9)
        following = torch.tensor([row[len(found) - 1] if len(found) <= len(row) else EOS for row in tokens])
        prefix = state.scores.gather(1, following[:, None])
    return found


def test_prefix_scores_are_sums_over_all_alignments():
    _, _, log_probs = utterances(1, 5, 5, seed=1)
    log_probs[..., EOS] = -torch.inf
    log_probs = log_probs.log_softmax(-1)
    whole = ctc_by_alignments(log_probs[0])
    scorer = CTCPrefixScorer.from_log_probs(log_probs, torch.tensor([5]))
    for U in range(4):
        for prefix in itertools.product(range(2, 5), repeat=U):
            scores = feed(scorer, [list(prefix)])[-1][0].exp()
            assert scores[EOS] == pytest.approx(whole.get(prefix, 0.0), rel=1e-10)
            for c in range(2, 5):
                begun = sum(p for key, p in whole.items() if key[: U + 1] == (*prefix, c))
                assert scores[c] == pytest.approx(begun, rel=1e-10, abs=1e-300)
            assert scores[BLANK] == 0


@settings(max_examples=20)
@given(
    seed=st.integers(0, 10**6),
    T=st.integers(1, 12),
    tokens=st.lists(st.integers(2, 5), max_size=7),
    scale=st.sampled_from([0.1, 2.0, 30.0]),
)
def test_prefix_scores_equal_the_recursion(seed, T, tokens, scale):
    _, lens, log_probs = utterances(3, T, 6, seed, scale)
    scorer = CTCPrefixScorer.from_log_probs(log_probs, lens)
    found = feed(scorer, [tokens] * 6)
    for u, scores in enumerate(found):
        for b, count in enumerate(lens.tolist()):
            row = scores[2 * b]
            prefix = tuple(tokens[:u])
            torch.testing.assert_close(row, scores[2 * b + 1], rtol=0, atol=0)
            assert float(row[EOS]) == pytest.approx(
                ctc_by_recursion(log_probs[b, :count], prefix)[1], abs=1e-10, rel=1e-12
            )
            for c in range(2, 6):
                truth = ctc_by_recursion(log_probs[b, :count], (*prefix, c))[0]
                # Beyond e^-700 below the best a continuation may count as impossible.
                if truth > -600 or math.isinf(truth):
                    assert float(row[c]) == pytest.approx(truth, abs=1e-10, rel=1e-12)


def test_long_confident_utterances_keep_their_precision():
    """Sums of thousands are subtracted from one another there."""
    draw = torch.Generator().manual_seed(0)
    T, V = 250, 20
    labels = torch.randint(2, V, (T,), generator=draw)
    labels[torch.rand(T, generator=draw) < 0.8] = BLANK
    logits = torch.randn(T, V, generator=draw, dtype=F64)
    logits[torch.arange(T), labels] += 18.0
    log_probs = logits.log_softmax(-1)[None]
    tokens = [t for t, _ in itertools.groupby(labels.tolist()) if t != BLANK][:8]
    found = feed(CTCPrefixScorer.from_log_probs(log_probs, torch.tensor([T])), [tokens])
    for u in range(len(tokens)):
        truth = ctc_by_recursion(log_probs[0], tuple(tokens[: u + 1]))[0]
        assert float(found[u][0, tokens[u]]) == pytest.approx(truth, abs=1e-10)


@pytest.mark.parametrize("tokens", [[3], [3, 3, 3], [2, 4, 4, 3, 2], []])
def test_the_complete_labelling_is_the_ctc_loss(tokens):
    _, lens, log_probs = utterances(4, 11, 7, seed=3)
    log_probs[..., EOS] = -50.0
    found = feed(CTCPrefixScorer.from_log_probs(log_probs, lens), [tokens] * 4)[-1][:, EOS]
    targets = torch.tensor([tokens] * 4).reshape(4, -1)
    loss = torch.nn.functional.ctc_loss(
        log_probs.transpose(0, 1), targets, lens, torch.tensor([len(tokens)] * 4), reduction="none"
    )
    torch.testing.assert_close(found, -loss, rtol=0, atol=1e-10)


def test_prefix_probabilities_add_up():
    """A labelling ends here or goes on with some token: p(g complete) + Σ ψ(g·c) = ψ(g)."""
    _, lens, log_probs = utterances(5, 30, 9, seed=4)
    lens = lens.clamp(min=14)
    log_probs[..., EOS] = -torch.inf
    scorer = CTCPrefixScorer.from_log_probs(log_probs.log_softmax(-1), lens)
    state = scorer.start(5)
    for token in [EOS, 4, 4, 7, 2, 7, 7]:
        increments, state = scorer.score(state, torch.full((5,), token))
        torch.testing.assert_close(increments.exp().sum(1), torch.ones(5, dtype=F64), rtol=0, atol=1e-10)


def test_padding_says_nothing():
    _, lens, log_probs = utterances(3, 9, 6, seed=5)
    padded = torch.cat((log_probs, torch.full((3, 300, 6), 7.0, dtype=F64)), 1)
    for row in ([3, 4, 4], [5]):
        short = feed(CTCPrefixScorer.from_log_probs(log_probs, lens), [row] * 3)
        long = feed(CTCPrefixScorer.from_log_probs(padded, lens), [row] * 3)
        for a, b in zip(short, long, strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-10)


def test_impossible_tokens_and_prefixes_are_never_and_nothing_is_nan():
    log_probs = torch.zeros(1, 3, 5, dtype=F64)
    log_probs[..., 4] = -torch.inf
    log_probs = log_probs.log_softmax(-1)
    for tokens in ([4, 2], [2, 2, 2], [2, 3, 2, 3]):
        last = feed(CTCPrefixScorer.from_log_probs(log_probs, torch.tensor([3])), [tokens])[-1]
        assert (last == -torch.inf).all()


def test_states_follow_the_hypotheses():
    _, lens, log_probs = utterances(2, 8, 6, seed=6)
    scorer = CTCPrefixScorer.from_log_probs(log_probs, lens)
    _, state = scorer.score(scorer.start(4), torch.full((4,), EOS))
    _, state = scorer.score(state, torch.tensor([2, 3, 4, 5]))
    swapped, _ = scorer.score(select_rows(state, torch.tensor([1, 1, 2, 3])), torch.tensor([3, 5, 5, 4]))
    direct = feed(scorer, [[3, 3], [3, 5], [4, 5], [5, 4]])
    torch.testing.assert_close(swapped, direct[2] - direct[1].gather(1, torch.tensor([[3], [5], [5], [4]])))


def test_utterances_can_leave():
    _, lens, log_probs = utterances(4, 8, 6, seed=7)
    whole = CTCPrefixScorer.from_log_probs(log_probs, lens)
    rows = torch.tensor([1, 3])
    kept = select_rows(whole, rows)
    a = feed(whole, [[2, 3]] * 4)[-1][rows]
    torch.testing.assert_close(feed(kept, [[2, 3]] * 2)[-1], a, rtol=0, atol=1e-12)


def test_among_restricts_what_is_scored_and_changes_nothing_else():
    _, lens, log_probs = utterances(2, 8, 9, seed=8)
    scorer = CTCPrefixScorer.from_log_probs(log_probs, lens)
    _, state = scorer.score(scorer.start(4), torch.full((4,), EOS))
    tokens = torch.tensor([2, 3, 4, 5])
    among = torch.tensor([[3, 7], [8, 4]])
    full, _ = scorer.score(state, tokens)
    some, _ = scorer.score(state, tokens, among)
    for n, allowed in enumerate([{2, 3, 7}, {3, 7}, {4, 8}, {4, 5, 8}]):
        for c in range(9):
            if c in allowed | {EOS}:
                assert float(some[n, c]) == pytest.approx(float(full[n, c]), abs=1e-12)
            else:
                assert some[n, c] == -torch.inf
