"""Greedy search: the best token at every step, by the decoder or by CTC."""

from typing import Any

import torch
from torch import Tensor

from asrattn.decoding.hypothesis import Hypothesis
from asrattn.decoding.scorers import StepwiseDecoder
from asrattn.lengths import mask
from asrattn.text import BLANK, EOS


@torch.inference_mode()
def greedy_search(decoder: StepwiseDecoder[Any, Any], enc: Tensor, lens: Tensor) -> list[Hypothesis]:
    """enc (B, T, D), lens (B,) -> one hypothesis for each utterance, of at most as many tokens as it has frames,
    and at most `decoder.max_tokens`.

    At this limit a hypothesis is cut, and its score has no EOS. No frames yield the empty hypothesis with score 0.
    """
    limits = lens if decoder.max_tokens is None else lens.clamp(max=decoder.max_tokens)
    memory = decoder.prepare(enc, lens)
    state = decoder.start(memory)
    token = torch.full_like(lens, EOS)
    ended = lens < 1
    tokens: list[Tensor] = []
    gains: list[Tensor] = []
    for length in range(max(limits.tolist(), default=0) + 1):
        logits, state = decoder.step(token, state, memory)
        log_probs = logits.float().log_softmax(-1)
        log_probs[:, BLANK] = -torch.inf
        gain, token = log_probs.max(-1)
        # Ended hypotheses are padded with EOS at no cost.
        cut = ended | (limits <= length) & (token != EOS)
        token = token.masked_fill(cut, EOS)
        tokens.append(token)
        gains.append(gain.double().masked_fill(cut, 0.0))
        ended = token == EOS
        if bool(ended.all()):
            break
    paths = torch.stack(tokens, 1).tolist()
    scores = torch.stack(gains, 1).sum(1).tolist()
    return [
        Hypothesis(tuple(path[: path.index(EOS)]), score, {"attention": score})
        for path, score in zip(paths, scores, strict=True)
    ]


@torch.inference_mode()
def ctc_greedy_search(log_probs: Tensor, lens: Tensor) -> list[Hypothesis]:
    """log_probs (B, T, V), lens (B,) -> the labels of each utterance's single most likely path, and its score."""
    allowed = log_probs.clone()
    allowed[..., EOS] = -torch.inf
    best, labels = allowed.max(-1)
    real = mask(lens, labels.shape[1])
    scores = best.double().masked_fill(~real, 0.0).sum(1).tolist()
    changed = torch.ones_like(real)
    changed[:, 1:] = labels[:, 1:] != labels[:, :-1]
    is_token = (labels != BLANK) & changed & real
    paths = [
        [token for token, keep in zip(*pair, strict=True) if keep]
        for pair in zip(labels.tolist(), is_token.tolist(), strict=True)
    ]
    return [Hypothesis(tuple(path), score, {"ctc": score}) for path, score in zip(paths, scores, strict=True)]
