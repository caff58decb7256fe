"""The contract of decoders, over every member of the union and every attention."""

import itertools
from dataclasses import replace
from typing import get_args

import pytest
import torch

from asrattn.attention import AttentionConfig, FixedContextConfig
from asrattn.decoders import (
    DecoderConfig,
    RecurrentDecoderConfig,
    TransformerDecoderConfig,
    WhisperDecoderConfig,
)
from asrattn.decoders.interface import build as build_decoder
from asrattn.decoding import DecodingConfig
from asrattn.decoding.beam_search import beam_search
from asrattn.decoding.scorers import select_rows
from asrattn.errors import ConfigError
from asrattn.text import EOS

D, V = 12, 9


SIZES = {"dim": 16, "layers": 2, "heads": 2, "ffn_dim": 24, "embedding": 8, "filters": 3, "kernel": 5}
# Training is then as reproducible as use, and hard looks stop somewhere.
CERTAIN = {"dropout": 0.0, "noise": 0.0, "begin": 0.1}


def small(member, **settings):
    settings = SIZES | CERTAIN | settings
    return replace(member(), **{k: v for k, v in settings.items() if hasattr(member(), k)})


VARIANTS = [small(member) for member in get_args(DecoderConfig)]
VARIANTS += [small(RecurrentDecoderConfig, attention=small(member)) for member in get_args(AttentionConfig)]
VARIANTS += [small(RecurrentDecoderConfig, attention=FixedContextConfig("last"))]
VARIANTS += [small(RecurrentDecoderConfig, kind=kind) for kind in ("gru", "rnn")]
VARIANTS += [small(TransformerDecoderConfig, positions=p) for p in ("none", "rotary")]
VARIANTS += [small(WhisperDecoderConfig, prompt=(8, 3, 7), max_tokens=10, alignment_heads=((0, 1),))]


@pytest.fixture(params=VARIANTS, ids=str)
def decoder(request):
    torch.manual_seed(0)
    return build_decoder(request.param, D, V).eval()


@pytest.fixture
def batch():
    torch.manual_seed(1)
    lens = torch.tensor([11, 7])
    enc = torch.randn(2, 11, D) * (torch.arange(11) < lens[:, None])[..., None]
    tokens = torch.randint(3, V, (2, 6))
    tokens[:, 0] = EOS
    return tokens, enc, lens


def test_stepping_equals_the_teacher_forced_pass(decoder, batch):
    tokens, enc, lens = batch
    logits, weights, _ = decoder(tokens, enc, lens)
    assert logits.shape == (2, 6, V)
    assert all(looks.shape[:1] + looks.shape[2:] == (2, 6, 11) for looks in weights)
    assert len(weights) == (
        1 if isinstance(decoder.config, RecurrentDecoderConfig) else decoder.config.layers
    )
    memory = decoder.prepare(enc, lens)
    state = decoder.start(memory)
    for u in range(6):
        step, state = decoder.step(tokens[:, u], state, memory)
        torch.testing.assert_close(step, logits[:, u], atol=1e-5, rtol=1e-4)


def test_gradients_of_the_teacher_forced_pass_are_those_of_stepping(decoder, batch):
    decoder.train()
    tokens, enc, lens = batch
    enc.requires_grad_()
    leaves = [enc, *decoder.parameters()]
    upstream = torch.randn(2, 6, V)
    found = torch.autograd.grad(decoder(tokens, enc, lens).logits, leaves, upstream)
    memory = decoder.prepare(enc, lens)
    state, steps = decoder.start(memory), []
    for u in range(6):
        logits, state = decoder.step(tokens[:, u], state, memory)
        steps.append(logits)
    wanted = torch.autograd.grad(torch.stack(steps, dim=1), leaves, upstream)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-3)


def test_autocast_changes_little_and_gradients_stay_in_full_precision(decoder, batch):
    decoder.train()
    logits = decoder(*batch).logits
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = decoder(*batch).logits
    assert rough.dtype == torch.bfloat16
    torch.testing.assert_close(rough.float(), logits, atol=0.03, rtol=0.03)
    rough.float().square().sum().backward()
    assert all(p.grad.dtype == torch.float32 and p.grad.isfinite().all() for p in decoder.parameters())


def test_padding_and_batching_change_nothing(decoder, batch):
    tokens, enc, lens = batch
    longer = torch.cat((enc, torch.zeros(2, 5, D)), dim=1)
    logits = decoder(tokens, enc, lens).logits
    torch.testing.assert_close(decoder(tokens, longer, lens).logits, logits, atol=1e-5, rtol=1e-4)
    alone = decoder(tokens[1:], enc[1:, :7], lens[1:]).logits
    torch.testing.assert_close(logits[1:], alone, atol=1e-5, rtol=1e-4)


def test_the_future_of_the_tokens_is_not_seen(decoder, batch):
    tokens, enc, lens = batch
    other = tokens.clone()
    other[:, 4:] = 3
    before, after = decoder(tokens, enc, lens).logits, decoder(other, enc, lens).logits
    torch.testing.assert_close(before[:, :4], after[:, :4])
    assert not torch.allclose(before[:, 4:], after[:, 4:])


def test_weights_look_at_real_frames_only(decoder, batch):
    weights = torch.cat(decoder(*batch).weights, dim=1)
    assert weights.min() >= 0
    assert weights.sum(-1).max() < 1 + 1e-5
    partial = getattr(decoder.config, "attention", None)
    if partial is None or partial.kind not in ("gmm", "monotonic", "mocha"):
        assert weights.sum(-1).min() > 1 - 1e-5
    assert not weights[1, ..., 7:].any()


def test_hypotheses_share_a_memory_and_can_be_reordered(decoder, batch):
    """Three hypotheses of each utterance, stepped beside each other, then exchanged, equal those run alone."""
    _, enc, lens = batch
    memory = decoder.prepare(enc, lens)
    tokens = torch.tensor([3, 4, 5, 6, 7, 8])
    state = select_rows(decoder.start(memory), torch.arange(2).repeat_interleave(3))
    _, state = decoder.step(torch.full((6,), EOS), state, memory)
    _, state = decoder.step(tokens, state, memory)
    order = torch.tensor([2, 0, 0, 5, 3, 4])
    logits, _ = decoder.step(tokens, select_rows(state, order), memory)
    for n in range(6):
        b = n // 3
        sequence = torch.tensor([[EOS, int(tokens[order[n]]), int(tokens[n])]])
        alone = decoder(sequence, enc[b : b + 1, : lens[b]], lens[b : b + 1]).logits[0, -1]
        torch.testing.assert_close(logits[n], alone, atol=1e-5, rtol=1e-4)


def test_a_wide_beam_is_an_exhaustive_search(decoder, batch):
    """Every sequence of at most three tokens, scored one by one by the teacher-forced pass."""
    _, enc, lens = batch
    words = range(2, V)
    for b in range(2):
        one, count = enc[b : b + 1], lens[b : b + 1]
        config = DecodingConfig(beam_size=V**3, max_length=3.5 / int(count))
        scores = {}
        for length in range(4):
            sequences = list(itertools.product(words, repeat=length))
            tokens = torch.tensor([[EOS, *sequence, EOS] for sequence in sequences])
            repeated = one.expand(len(tokens), -1, -1), count.expand(len(tokens))
            with torch.no_grad():
                log_probs = decoder(tokens[:, :-1], *repeated).logits.log_softmax(-1)
            totals = log_probs.gather(2, tokens[:, 1:, None]).sum((1, 2))
            scores |= dict(zip(sequences, totals.tolist(), strict=True))
        best = max(scores, key=scores.__getitem__)
        found = beam_search(decoder, one, count, None, config)[0][0]
        assert found.tokens == best
        assert found.score == pytest.approx(scores[best], abs=1e-4)


def test_gradients_reach_every_weight(decoder, batch):
    decoder.train()
    decoder(*batch).logits.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in decoder.parameters())


def test_scheduled_sampling_feeds_guesses_in_training_only(batch):
    torch.manual_seed(0)
    decoder = build_decoder(small(RecurrentDecoderConfig, scheduled_sampling=1.0, dropout=0.0), D, V)
    tokens, enc, lens = batch
    other = tokens.clone()
    other[:, 2:] = 3
    torch.manual_seed(5)
    first = decoder(tokens, enc, lens).logits
    torch.manual_seed(5)
    torch.testing.assert_close(
        decoder(other, enc, lens).logits[:, 2:], first[:, 2:]
    )  # the truth is not looked at
    decoder.eval()
    assert not torch.allclose(
        decoder(other, enc, lens).logits[:, 2:], decoder(tokens, enc, lens).logits[:, 2:]
    )


def test_impossible_sizes_are_told():
    with pytest.raises(ConfigError, match="multiple of heads"):
        TransformerDecoderConfig(dim=10, heads=4)
    with pytest.raises(ConfigError, match="scheduled_sampling is 2"):
        RecurrentDecoderConfig(scheduled_sampling=2)
    with pytest.raises(ConfigError, match="multiple of heads"):
        WhisperDecoderConfig(dim=10, heads=4)
    with pytest.raises(ConfigError, match="prompt: needs 1 to 447 tokens"):
        WhisperDecoderConfig(prompt=())
    with pytest.raises(ConfigError, match="no head 6 in layer 3"):
        WhisperDecoderConfig(alignment_heads=((3, 6),))
