"""Attention metrics between 0 and 1, differentiable: focus, monotonicity, diagonality, coverage, agreement.

Weights (B, U, T) are those of U outputs over T frames, real ones as many as the lengths say; each measure is (B,),
float32, and has a gradient if its docstring says so.
"""

import math

import torch
from torch import Tensor

from asrattn.lengths import mask

DIAGONAL_WIDTH = 0.2  # of the diagonal, as a share of the utterance (Tachibana et al. 2018)
MAX_STEP_BACK_FRAMES = 1.0  # frames that the position may go back and still count as monotonic


def focus(weights: Tensor, token_lens: Tensor, lens: Tensor) -> Tensor:
    """1 - H(α_u) / log T, the mean over the outputs: 1 for a single frame, 0 for all frames alike."""
    entropy = -torch.xlogy(weights, weights).float().sum(-1)
    return _mean(1 - entropy / lens.clamp(min=2).log()[:, None], token_lens)


def monotonicity(weights: Tensor, token_lens: Tensor) -> Tensor:
    """The share of outputs whose mean frame does not lie before the one of the output before, by more than BACK."""
    at = positions(weights)
    forward = (at[:, 1:] >= at[:, :-1] - MAX_STEP_BACK_FRAMES).float()
    return _mean(forward, (token_lens - 1).clamp(min=0), empty=1.0)


def diagonality(weights: Tensor, token_lens: Tensor, lens: Tensor) -> Tensor:
    """One minus the weight off the diagonal: 1 where all of it lies close to it. Differentiable."""
    return 1 - _mean((weights.float() * off_diagonal(weights, token_lens, lens)).sum(-1), token_lens)


def off_diagonal(weights: Tensor, token_lens: Tensor, lens: Tensor) -> Tensor:
    """(B, U, T): 1 - exp(-(u/U - t/T)² / 2g²), 0 on the diagonal (Tachibana et al. 2018, equation 5)."""
    u, t = (torch.arange(size, device=weights.device) + 0.5 for size in weights.shape[1:])
    rows = u / token_lens.clamp(min=1)[:, None]
    columns = t / lens.clamp(min=1)[:, None]
    return 1 - torch.exp(-((rows[:, :, None] - columns[:, None]) ** 2) / (2 * DIAGONAL_WIDTH**2))


def token_coverage(weights: Tensor, boundaries: Tensor) -> Tensor:
    """(B, U): the weight of all outputs together on the frames of each token, which is 1 where each is read once.

    borders (B, U + 1): the frames borders[u] … borders[u + 1] - 1 belong to token u, by an alignment. Near 0
    a token was skipped, near 2 it was read twice.
    """
    total = weights.float().sum(1).cumsum(-1)
    total = torch.nn.functional.pad(total, (1, 0)).gather(1, boundaries)
    return total.diff(dim=-1)


def agreement(weights: Tensor, token_lens: Tensor, starts: Tensor, ends: Tensor, tolerance: int) -> Tensor:
    """The share of tokens whose heaviest frame is one of starts … ends - 1 (B, U), give or take `tolerance` frames."""
    heaviest = weights.argmax(-1)
    inside = (heaviest >= starts - tolerance) & (heaviest < ends + tolerance)
    return _mean(inside.float(), token_lens, empty=1.0)


def positions(weights: Tensor) -> Tensor:
    """(B, U): the mean frame of each output's weights."""
    weights = weights.float()
    frames = torch.arange(weights.shape[-1], device=weights.device)
    return (weights * frames).sum(-1) / weights.sum(-1).clamp(min=torch.finfo(torch.float32).tiny)


def _mean(values: Tensor, counts: Tensor, empty: float = math.nan) -> Tensor:
    """Over the first `counts` of values (B, U)."""
    real = mask(counts, values.shape[1])
    mean = (values * real).sum(1) / counts.clamp(min=1)
    return torch.where(counts > 0, mean, empty)
