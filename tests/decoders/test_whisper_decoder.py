"""Whisper's decoder: prompt, positions, tokens that it does not have, silence that frames stand for."""

from dataclasses import replace

import pytest
import torch

from asrattn.decoders import WhisperDecoderConfig
from asrattn.decoders.whisper import NEVER, WhisperDecoder
from asrattn.decoding import DecodingConfig
from asrattn.decoding.beam_search import beam_search
from asrattn.decoding.greedy import greedy_search
from asrattn.decoding.token_rules import RuledDecoder, TokenRules
from asrattn.encoders import WhisperEncoderConfig
from asrattn.errors import TextError
from asrattn.text import BLANK, EOS, UNKNOWN

D, V = 12, 20
CONFIG = WhisperDecoderConfig(
    dim=16,
    layers=2,
    heads=2,
    ffn_dim=24,
    max_tokens=12,
    prompt=(10, 11, 12),
    alignment_heads=((1, 0), (0, 1)),
)


def decoder(**settings: object) -> WhisperDecoder:
    torch.manual_seed(0)
    return WhisperDecoder(replace(CONFIG, **settings), D, V).eval()


@pytest.fixture
def memory() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    lens = torch.tensor([9, 5])
    return torch.randn(2, 9, D) * (torch.arange(9) < lens[:, None])[..., None], lens


def test_prompt_stands_before_the_text(memory) -> None:
    """What follows the prompt is what a decoder with the last token alone says of prompt and text."""
    tokens = torch.tensor([[EOS, 5, 6], [EOS, 7, 8]])
    with_prompt = decoder()(tokens, *memory)
    bare = decoder(prompt=(10,))
    whole = torch.tensor([[EOS, 11, 12, 5, 6], [EOS, 11, 12, 7, 8]])
    wanted = bare(whole, *memory)
    torch.testing.assert_close(with_prompt.logits, wanted.logits[:, 2:])
    for ours, theirs in zip(with_prompt.weights, wanted.weights, strict=True):
        torch.testing.assert_close(ours, theirs[:, :, 2:])
    assert with_prompt.alignment_heads == CONFIG.alignment_heads


def test_another_prompt_says_something_else(memory) -> None:
    made, tokens = decoder(), torch.tensor([[EOS, 5], [EOS, 6]])
    before = made(tokens, *memory).logits
    made.prompt = (10, 13, 12)
    assert not torch.allclose(made(tokens, *memory).logits, before)
    assert made.max_tokens == 12 - 3


def test_stepping_is_the_teacher_forced_pass_with_weighted_frames(memory) -> None:
    made = decoder()
    made.encoder = WhisperEncoderConfig(dim=16, heads=2, max_frames=60, silence_samples=2)
    tokens = torch.tensor([[EOS, 5, 6, 7], [EOS, 7, 8, 9]])
    weighted = made(tokens, *memory).logits
    prepared = made.prepare(*memory)
    state = made.start(prepared)
    for u in range(4):
        logits, state = made.step(tokens[:, u], state, prepared)
        torch.testing.assert_close(logits, weighted[:, u], atol=1e-5, rtol=1e-4)
    made.encoder = None
    assert not torch.allclose(made(tokens, *memory).logits, weighted)


def test_a_weighted_frame_is_read_as_its_copies(memory) -> None:
    """One frame for the three from the fifth on, and those three."""
    made, tokens = decoder(), torch.tensor([[EOS, 5, 6]])
    enc = memory[0][:1, :5]
    copied = torch.cat((enc, enc[:, -1:].expand(-1, 2, -1)), dim=1)
    wanted = made(tokens, copied, torch.tensor([7])).logits
    made.encoder = WhisperEncoderConfig(dim=16, heads=2, max_frames=7, silence_samples=1)
    torch.testing.assert_close(made(tokens, enc, torch.tensor([5])).logits, wanted)


@pytest.mark.parametrize("beam_size", [1, 4])
def test_no_hypothesis_is_longer_than_its_positions(memory, beam_size: int) -> None:
    made = decoder()
    with torch.no_grad():
        made.embed.weight[EOS] = -10 * made.embed.weight[7]  # it never ends
    enc, lens = memory[0].repeat(1, 3, 1), memory[1] * 3
    found = beam_search(made, enc, lens, None, DecodingConfig(beam_size=beam_size, ctc=0.0))
    assert max(len(each.tokens) for (each, *_) in found) <= made.max_tokens
    assert all(len(each.tokens) <= made.max_tokens for each in greedy_search(made, enc, lens))


def test_longest_text_fits_and_one_more_token_is_told(memory) -> None:
    made = decoder()
    longest = torch.tensor([[EOS, *[5] * made.max_tokens]] * 2)
    assert made(longest, *memory).logits.shape == (2, 10, V)
    with pytest.raises(
        TextError, match="a text of 10 tokens is too long for Whisper's decoder, which takes 9"
    ):
        made(torch.cat((longest, longest[:, -1:]), dim=1), *memory)


def test_blank_and_unknown_are_never_chosen(memory) -> None:
    made = decoder()
    logits = made(torch.tensor([[EOS, 5], [EOS, 6]]), *memory).logits
    assert (logits[..., [BLANK, UNKNOWN]] == NEVER).all()
    assert logits.log_softmax(-1).isfinite().all()  # so that label smoothing stays finite
    assert logits.softmax(-1)[..., [BLANK, UNKNOWN]].max() < 1e-30
    ruled = RuledDecoder(made, TokenRules((UNKNOWN,)))
    config = DecodingConfig(beam_size=V, ctc=0.0, nbest=V, max_length=0.3)
    for hypotheses in beam_search(ruled, *memory, None, config):
        assert not {BLANK, UNKNOWN} & {token for each in hypotheses for token in each.tokens}
