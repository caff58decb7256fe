"""Forced alignment: Viterbi over left-to-right HMMs (CTC topology), the span of frames of each token of a text.

A topology defines the states of a text and their transitions; the model's posteriors are the emission probabilities.
CTC is one topology, a minimum duration of each token another (Rabiner 1989; Graves et al. 2006). B utterances,
T frames, V tokens, S states of the longest text; scores are natural logarithms.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from asrattn.errors import DataError
from asrattn.text import BLANK, Spelling

LOG_ZERO = float("-inf")


class HMMBatch(NamedTuple):
    """A chain of states for each utterance.

    labels (B, S) the token each state emits · tokens (B, S) which of the text's tokens it belongs to, -1 for none
    enter (B, S, 3) log-weight of coming from the state itself, the one before, the one before that
    first (B, S), last (B, S) log-weight of beginning and of ending there
    """

    labels: Tensor
    tokens: Tensor
    transitions: Tensor
    initial: Tensor
    final: Tensor


class TokenSpan(NamedTuple):
    """A token's frames start … end - 1, and the mean log-probability of it on those frames."""

    token: int
    start: int
    end: int
    score: float


@dataclass(frozen=True)
class HMM:
    """Of one text, see Chains; skips[s]: whether state s may be entered past the one before it."""

    labels: list[int]
    tokens: list[int]
    skips: list[bool]
    initial_count: int  # so many states may be the first one
    final_count: int  # so many the last one


def ctc_topology(text: Sequence[int], blank: int = BLANK) -> HMM:
    """A blank before, after and between all tokens, which may be left out but between two equal ones."""
    labels = [blank, *(x for token in text for x in (token, blank))]
    tokens = [-1, *(x for i in range(len(text)) for x in (i, -1))]
    skips = [s > 1 and labels[s] not in (blank, labels[s - 2]) for s in range(len(labels))]
    return HMM(labels, tokens, skips, initial_count=min(2, len(labels)), final_count=min(2, len(labels)))


def min_ctc_frames(text: Sequence[int]) -> int:
    """As many frames as `ctc` needs: one for each token, and a blank between two that are the same."""
    return len(text) + sum(a == b for a, b in pairwise(text))


def min_duration_topology(text: Sequence[int], min_frames: int = 1, blank: int | None = BLANK) -> HMM:
    """Tokens of at least so many frames each, and where there is a blank, any number of frames of it around them."""
    labels: list[int] = [] if blank is None else [blank]
    tokens: list[int] = [] if blank is None else [-1]
    skips: list[bool] = [False] * len(labels)
    for i, token in enumerate(text):
        labels += [token] * min_frames
        tokens += [i] * min_frames
        skips += [blank is not None and i > 0] + [False] * (min_frames - 1)
        if blank is not None:
            labels.append(blank)
            tokens.append(-1)
            skips.append(False)
    ends = 1 if blank is None else min(2, len(labels))
    return HMM(labels, tokens, skips, initial_count=ends, final_count=ends)


def collate(hmms: Sequence[HMM], device: torch.device | None = None) -> HMMBatch:
    """Chains side by side; the states that pad a short one are never reached."""
    B, S = len(hmms), max(len(chain.labels) for chain in hmms)
    labels = torch.zeros(B, S, dtype=torch.int64)
    tokens = torch.full((B, S), -1)
    enter = torch.full((B, S, 3), LOG_ZERO)
    first, last = torch.full((B, S), LOG_ZERO), torch.full((B, S), LOG_ZERO)
    for b, chain in enumerate(hmms):
        size = len(chain.labels)
        labels[b, :size] = torch.tensor(chain.labels)
        tokens[b, :size] = torch.tensor(chain.tokens)
        enter[b, :size, :2] = 0.0
        enter[b, :1, 1] = LOG_ZERO
        enter[b, :size, 2] = torch.where(torch.tensor(chain.skips), 0.0, LOG_ZERO)
        first[b, : chain.initial_count] = 0.0
        last[b, size - chain.final_count : size] = 0.0
    return HMMBatch(*(x.to(device) for x in (labels, tokens, enter, first, last)))


def viterbi(log_probs: Tensor, lens: Tensor, hmms: HMMBatch) -> tuple[Tensor, Tensor]:
    """The best path: log_probs (B, T, V), lens (B,) -> states (B, T), 0 on padding, and its score (B,).

    The score is -inf where no path fits into the frames.
    """
    emitted = _emissions(log_probs, hmms)
    score = hmms.initial + emitted[:, 0]
    back = torch.zeros(emitted.shape, dtype=torch.int64, device=log_probs.device)
    scores = [score]
    for t in range(1, emitted.shape[1]):
        best, back[:, t] = (_before(score) + hmms.transitions).max(-1)
        score = torch.where(t < lens[:, None], best + emitted[:, t], score)
        scores.append(score)
    total, state = (score + hmms.final).max(-1)
    path = torch.zeros(emitted.shape[:2], dtype=torch.int64, device=log_probs.device)
    for t in range(emitted.shape[1] - 1, -1, -1):
        real = t < lens
        path[:, t] = torch.where(real, state, 0)
        state = torch.where(real, state - back[:, t].gather(1, state[:, None])[:, 0], state)
    return path, total


def forward_backward(log_probs: Tensor, lens: Tensor, hmms: HMMBatch) -> tuple[Tensor, Tensor]:
    """Forward-backward: the probability (B, T, S) of being in a state at a frame, and the log-sum over all paths (B,).

    Zero on padding, and everywhere where no path fits into the frames.
    """
    emitted = _emissions(log_probs, hmms)
    B, T, S = emitted.shape
    forward = [hmms.initial + emitted[:, 0]]
    for t in range(1, T):
        score = torch.logsumexp(_before(forward[-1]) + hmms.transitions, -1) + emitted[:, t]
        forward.append(torch.where(t < lens[:, None], score, forward[-1]))
    total = torch.logsumexp(forward[-1] + hmms.final, -1)
    found = emitted.new_zeros(B, T, S)
    after = hmms.final
    for t in range(T - 1, -1, -1):
        real = t < lens[:, None]
        found[:, t] = torch.where(real, (forward[t] + after - total[:, None]).exp(), 0.0)
        coming = _ahead(after + emitted[:, t], hmms.transitions)
        after = torch.where(real, coming, after)
    return found.nan_to_num(0.0), total


def forced_align(log_probs: Tensor, lens: Tensor, texts: Sequence[Sequence[int]]) -> list[list[TokenSpan]]:
    """Where each token of each text was said, by the best CTC path: log_probs (B, T, V), lens (B,).

    Frames of blank belong to no token. Raises DataError where a text does not fit into its frames.
    """
    chains = collate([ctc_topology(text) for text in texts], log_probs.device)
    path, total = viterbi(log_probs, lens, chains)
    for b, impossible in enumerate((total == LOG_ZERO).tolist()):
        if impossible:
            raise DataError(f"{len(texts[b])} tokens do not fit into {int(lens[b])} encoder frames")
    said = chains.tokens.gather(1, path).tolist()
    labels = chains.labels.gather(1, path)
    scores = log_probs.gather(2, labels[..., None])[..., 0].tolist()
    return [_spans(said[b][:length], scores[b][:length], texts[b]) for b, length in enumerate(lens.tolist())]


def align_tokens(
    log_probs: Tensor, lens: Tensor, texts: Sequence[Sequence[int]], spelling: Spelling
) -> list[list[TokenSpan]]:
    """`forced_align` of the texts' labels; the spans are those of the texts' tokens.

    A span reaches from the first label of its token to the last one; its score is the mean over the frames of the
    labels. A token without labels gets the empty span at the end of the one before, with score 0.
    """
    spelled = [spelling.spell(text) for text in texts]
    found = forced_align(log_probs, lens, [labels for labels, _ in spelled])
    if spelling.rows is None:
        return found
    return [
        _merge(spans, owners, text) for spans, (_, owners), text in zip(found, spelled, texts, strict=True)
    ]


def _merge(spans: Sequence[TokenSpan], owners: Sequence[int], text: Sequence[int]) -> list[TokenSpan]:
    """The spans of labels -> those of the tokens that own them."""
    own: list[list[TokenSpan]] = [[] for _ in text]
    for span, owner in zip(spans, owners, strict=True):
        own[owner].append(span)
    merged: list[TokenSpan] = []
    for token, parts in zip(text, own, strict=True):
        if parts:
            frames = sum(part.end - part.start for part in parts)
            score = sum(part.score * (part.end - part.start) for part in parts) / frames
            merged.append(TokenSpan(token, parts[0].start, parts[-1].end, score))
        else:
            end = merged[-1].end if merged else 0
            merged.append(TokenSpan(token, end, end, 0.0))
    return merged


def _spans(said: list[int], scores: list[float], text: Sequence[int]) -> list[TokenSpan]:
    found = []
    for number, token in enumerate(text):
        start = said.index(number)
        end = start + said.count(number)  # a token's frames are neighbours
        found.append(TokenSpan(token, start, end, sum(scores[start:end]) / (end - start)))
    return found


def _emissions(log_probs: Tensor, chains: HMMBatch) -> Tensor:
    """(B, T, V) -> (B, T, S)."""
    return log_probs.float().gather(2, chains.labels[:, None].expand(-1, log_probs.shape[1], -1))


def _before(score: Tensor) -> Tensor:
    """(B, S) -> (B, S, 3): of the state itself and of the two before it."""
    padded = torch.nn.functional.pad(score, (2, 0), value=LOG_ZERO)
    return torch.stack((score, padded[:, 1:-1], padded[:, :-2]), -1)


def _ahead(score: Tensor, enter: Tensor) -> Tensor:
    """(B, S) of the next frame -> (B, S): the log-sum over the state itself and the two after it."""
    size = score.shape[1]
    steps = torch.nn.functional.pad(score[..., None] + enter, (0, 0, 0, 2), value=LOG_ZERO)
    return torch.logsumexp(torch.stack([steps[:, k : k + size, k] for k in range(3)], -1), -1)
