"""What the doctor measures, on a decoder that looks where the test says."""

import math

import pytest
import tiny
import torch

from asrattn import attention_metrics
from asrattn.attention_metrics import AttentionMetrics
from asrattn.decoders.output import DecoderOutput
from asrattn.text import Spelling

FRAMES = 40


class Stub(torch.nn.Module):
    """Looks at the given frame for each token, whatever it hears."""

    def __init__(self, looks: list[int]) -> None:
        super().__init__()
        self.looks = looks

    def forward(self, tokens: torch.Tensor, enc: torch.Tensor, lens: torch.Tensor) -> DecoderOutput:
        weights = torch.zeros(len(tokens), tokens.shape[1], enc.shape[1])
        for u, t in enumerate(self.looks):
            weights[:, u, t] = 1
        return DecoderOutput(torch.zeros(*tokens.shape, 4), (weights[:, None],))


def measured(looks: list[int], aligned: bool = True, spelling: Spelling | None = None) -> AttentionMetrics:
    """Four tokens, which CTC hears at frames 5, 15, 25 and 35 of 40."""
    model = tiny.model()
    model.spelling = spelling or Spelling()
    tokens = torch.tensor([[3, 4, 5, 6]])
    log_probs = torch.full((1, FRAMES, model.config.vocabulary), -9.0)
    log_probs[..., 0] = -0.1
    for token, frame in zip(tokens[0].tolist(), (5, 15, 25, 35), strict=True):
        log_probs[0, frame, token] = 5.0
    model.decoder = Stub([*looks, 0])
    model.ctc_log_probs = lambda frames, lens: log_probs[:, : frames.shape[1]].log_softmax(-1)  # type: ignore[method-assign]
    samples = next(n for n in range(3000, 20000, 20) if encoder_frames(model, n) == FRAMES)
    wave = torch.from_numpy(tiny.wave(samples / tiny.RATE))[None]
    return attention_metrics.measure(model, wave, torch.tensor([samples]), tokens, torch.tensor([4]), aligned)


def encoder_frames(model, samples: int) -> int:  # type: ignore[no-untyped-def]
    return int(model.encoder.lens(model.frontend.lens(torch.tensor([samples])))[0])


def test_attention_that_reads_along_is_well() -> None:
    found = measured([5, 15, 25, 35])
    assert found.focus == pytest.approx(1)
    assert found.monotonicity == 1
    assert found.diagonality > 0.99
    assert found[3:] == (0, 0, 1)


def test_a_skipped_and_a_repeated_token_are_seen() -> None:
    found = measured([5, 15, 15, 35])
    assert found.skipped == 0.25
    assert found.repeated == 0.25
    assert found.agreement == 0.75
    back = measured([5, 25, 15, 35])
    assert back.monotonicity == pytest.approx(2 / 3)
    assert back[3:] == (0, 0, 0.5)


def test_attention_that_stays_at_the_end_is_not_well() -> None:
    found = measured([39, 39, 39, 39])
    assert found.diagonality < 0.6
    assert found.skipped == 0.75
    assert found.agreement == 0


def test_without_a_trained_ctc_head_there_is_no_second_opinion() -> None:
    found = measured([5, 15, 25, 35], aligned=False)
    assert found.focus == pytest.approx(1)
    assert all(math.isnan(each) for each in found[3:])


def test_a_real_model_and_padded_texts() -> None:
    model = tiny.model()
    wave = torch.from_numpy(tiny.wave(2.0)).repeat(3, 1)
    lens, tokens = torch.tensor([16000, 12000, 16000]), torch.tensor([[3, 4, 5], [6, 7, 0], [0, 0, 0]])
    found = attention_metrics.measure(model, wave, lens, tokens, torch.tensor([3, 2, 0]))
    assert all(0 <= each <= 1 for each in found)
    alone = attention_metrics.measure(model, wave[:2], lens[:2], tokens[:2], torch.tensor([3, 2]))
    assert found == pytest.approx(alone, abs=1e-5)


def test_tokens_without_ctc_labels_do_not_count() -> None:
    """Token 4 is punctuation: wherever it looks, nothing is skipped. Token 5 is heard at both its labels."""
    spelling = Spelling(((), (), (), (3,), (), (4, 5), (6,)))
    found = measured([5, 39, 20, 35], spelling=spelling)
    assert found[3:] == (0, 0, pytest.approx(1))
    assert measured([5, 39, 39, 35], spelling=spelling).agreement == pytest.approx(2 / 3)
