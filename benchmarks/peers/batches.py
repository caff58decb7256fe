"""Batches that every side trains on: the same waves, the same tokens."""

import random
from typing import NamedTuple

import torch
from torch import Tensor

RATE = 16000
VOCABULARY = 1000  # word pieces, blank and end among them: what is trained on
CHARACTERS = 31  # likewise, of one character each: what is searched for
TOKENS_PER_SECOND = 4.0  # English read speech in 1,000 pieces: 2.7 words a second, 1.5 pieces a word
CHARACTERS_PER_SECOND = 14.0
LENGTHS_SECONDS = (2.5, 5.0, 10.0)  # seconds, one for each batch


class Batch(NamedTuple):
    """wave (B, S), wave_lens (B,) samples, tokens (B, U), token_lens (B,), longest first. Padding is 0."""

    wave: Tensor
    wave_lens: Tensor
    tokens: Tensor
    token_lens: Tensor

    @property
    def seconds(self) -> float:
        """Of audio, padding not counted."""
        return int(self.wave_lens.sum()) / RATE


def batches(total: float) -> list[Batch]:
    """A batch of about `total` seconds around each of LENGTHS; lengths differ by up to a tenth, as after sorting."""
    draw, noise = random.Random(0), torch.Generator().manual_seed(0)
    return [_batch(round(total / length), length, draw, noise) for length in LENGTHS_SECONDS]


def equal_length_waves(count: int, length: float) -> tuple[Tensor, Tensor, int]:
    """Utterances of `length` seconds: wave (B, S), wave_lens (B,), and the characters to find in each."""
    noise = torch.Generator().manual_seed(0)
    wave = 0.1 * torch.randn(count, round(length * RATE), generator=noise)
    return wave, torch.full((count,), wave.shape[1]), round(length * CHARACTERS_PER_SECOND)


def _batch(count: int, length: float, draw: random.Random, noise: torch.Generator) -> Batch:
    seconds = sorted((length * draw.uniform(0.95, 1.05) for _ in range(count)), reverse=True)
    wave_lens = torch.tensor([round(s * RATE) for s in seconds])
    token_lens = torch.tensor([round(s * TOKENS_PER_SECOND) for s in seconds])
    wave = 0.1 * torch.randn(count, int(wave_lens.max()), generator=noise)
    tokens = torch.randint(3, VOCABULARY - 1, (count, int(token_lens.max())), generator=noise)
    real = torch.arange(wave.shape[1]) < wave_lens[:, None]
    said = torch.arange(tokens.shape[1]) < token_lens[:, None]
    return Batch(wave * real, wave_lens, tokens * said, token_lens)
