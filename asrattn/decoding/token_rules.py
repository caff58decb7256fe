"""Rules about the next token that hold beside its probability: suppressed tokens, and Whisper's timestamps.

Forbidden tokens get the log-probability -inf before the softmax, so that the others share what they had.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from asrattn.decoding.scorers import StepwiseDecoder
from asrattn.text import EOS

MAX_FIRST_TIMESTAMP = 50  # the first timestamp is at most 1 s


@dataclass(frozen=True)
class TokenRules:
    """suppress: tokens never chosen. begin_suppress: not chosen first. timestamps: their ids, where they are wanted."""

    suppress: tuple[int, ...] = ()
    begin_suppress: tuple[int, ...] = ()
    timestamps: range | None = None


class RuleState(NamedTuple):
    """inner: the decoder's; last, before (N,): the last two tokens, EOS before the first; latest (N,): timestamp."""

    inner: Any
    last: Tensor
    before: Tensor
    latest: Tensor


class RuledDecoder:
    """A decoder whose next tokens obey the rules: to a search it is a decoder like any other."""

    def __init__(self, decoder: StepwiseDecoder[Any, Any], rules: TokenRules) -> None:
        self.decoder, self.rules = decoder, rules

    @property
    def max_tokens(self) -> int | None:
        return self.decoder.max_tokens

    def prepare(self, enc: Tensor, lens: Tensor) -> Any:
        return self.decoder.prepare(enc, lens)

    def start(self, memory: Any) -> RuleState:
        inner = self.decoder.start(memory)
        tokens = torch.full((_count(memory),), EOS, device=_device(memory))
        return RuleState(inner, tokens, tokens, torch.zeros_like(tokens))

    def step(self, tokens: Tensor, state: RuleState, memory: Any) -> tuple[Tensor, RuleState]:
        logits, inner = self.decoder.step(tokens, state.inner, memory)
        logits[:, list(self.rules.suppress)] = -torch.inf
        first = tokens == EOS
        begin = torch.tensor(self.rules.begin_suppress, dtype=torch.int64, device=tokens.device)
        logits[first.nonzero(), begin] = -torch.inf
        latest = state.latest
        if self.rules.timestamps is not None:
            stamped = tokens >= self.rules.timestamps.start
            latest = torch.where(stamped, torch.maximum(latest, tokens), latest)
            logits = _timestamp_rules(logits, self.rules.timestamps, tokens, state.last, latest)
        return logits, RuleState(inner, tokens, state.last, latest)


def _timestamp_rules(logits: Tensor, stamps: range, last: Tensor, before: Tensor, latest: Tensor) -> Tensor:
    """Whisper's rules (Radford et al. 2023): timestamps come in pairs but at the begin and the end, never go back, and
    one is chosen where all of them together are likelier than any other token. logits (N, V), the others (N,)."""
    begin = stamps.start
    place = torch.arange(logits.shape[1], device=logits.device)
    is_stamp, is_text = place >= begin, (place < begin) & (place != EOS)
    first = (last == EOS)[:, None]
    last_stamp, before_stamp = (last >= begin)[:, None], ((before >= begin) | (before == EOS))[:, None]
    forbidden = first & ~is_stamp
    forbidden |= first & (place > begin + MAX_FIRST_TIMESTAMP)
    forbidden |= last_stamp & before_stamp & is_stamp & ~first
    forbidden |= last_stamp & ~before_stamp & is_text & ~first
    # A pair closes and opens at the same time; otherwise time goes on.
    least = torch.where(last_stamp[:, 0] & ~before_stamp[:, 0], latest, latest + 1)[:, None]
    forbidden |= is_stamp & (place < least) & (latest > 0)[:, None]
    logits = logits.masked_fill(forbidden, -torch.inf)
    log_probs = logits.float().log_softmax(-1)
    stamp = log_probs[:, begin:].logsumexp(-1) > log_probs[:, :begin].amax(-1)
    return logits.masked_fill(stamp[:, None] & ~is_stamp, -torch.inf)


def _count(memory: Any) -> int:
    return len(_first(memory))


def _device(memory: Any) -> torch.device:
    return _first(memory).device


def _first(tree: Any) -> Tensor:
    """The first tensor of a nested tuple."""
    while not isinstance(tree, Tensor):
        tree = tree[0]
    return tree
