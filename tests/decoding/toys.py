"""Small decoders and scorers with states and memories, and slow searches that are right beyond doubt."""

import itertools
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from asrattn.decoding.hypothesis import Hypothesis
from asrattn.lengths import mask
from asrattn.text import BLANK, EOS

F64 = torch.float64


class ToyMemory(NamedTuple):
    bias: tuple[Tensor]  # (B, V)


class ToyState(NamedTuple):
    hidden: Tensor  # (N, D)
    count: tuple[Tensor]  # (N,)


class ToyDecoder:
    """A random recurrent net in float64: every step depends on all tokens so far and on the utterance."""

    max_tokens: int | None = None

    def __init__(self, V: int, D: int = 6, seed: int = 0, scale: float = 1.5):
        draw = torch.Generator().manual_seed(seed)
        self.embed = torch.randn(V, D, generator=draw, dtype=F64)
        self.recur = torch.randn(D, D, generator=draw, dtype=F64) * 0.7
        self.out = torch.randn(D, V, generator=draw, dtype=F64) * scale
        self.look = torch.randn(1, V, generator=draw, dtype=F64)
        self.steps = 0

    def prepare(self, enc: Tensor, lens: Tensor) -> ToyMemory:
        real = mask(lens, enc.shape[1])[..., None]
        return ToyMemory(((enc.double() * real).sum(1)[:, :1] * self.look,))

    def start(self, memory: ToyMemory) -> ToyState:
        B = len(memory.bias[0])
        return ToyState(torch.zeros(B, len(self.recur), dtype=F64), (torch.zeros(B, dtype=torch.int64),))

    def step(self, tokens: Tensor, state: ToyState, memory: ToyMemory) -> tuple[Tensor, ToyState]:
        self.steps += 1
        assert (state.count[0] == state.count[0][0]).all()
        hidden = torch.tanh(state.hidden @ self.recur + self.embed[tokens])
        bias = memory.bias[0].repeat_interleave(len(tokens) // len(memory.bias[0]), 0)
        return hidden @ self.out + bias, ToyState(hidden, (state.count[0] + 1,))


class Bigram:
    """A scorer: log-probabilities from a random table."""

    def __init__(self, V: int, seed: int = 5):
        draw = torch.Generator().manual_seed(seed)
        self.table = torch.randn(V, V, generator=draw, dtype=F64).log_softmax(-1)

    def start(self, n: int) -> tuple[()]:
        return ()

    def score(self, state: tuple[()], tokens: Tensor) -> tuple[Tensor, tuple[()]]:
        return self.table[tokens], state

    def total(self, tokens: tuple[int, ...]) -> float:
        """The sum of all increments of a whole text."""
        return sum(float(self.table[a, b]) for a, b in itertools.pairwise((EOS, *tokens, EOS)))


class Reward(Bigram):
    """A scorer that rewards one token."""

    def __init__(self, V: int, token: int, reward: float):
        self.table = torch.zeros(V, V, dtype=F64)
        self.table[:, token] = reward


def utterances(B: int, T: int, V: int, seed: int = 0, scale: float = 2.0) -> tuple[Tensor, Tensor, Tensor]:
    """enc (B, T, 2), lens (B,) with the longest first, CTC log-probabilities (B, T, V), noise on the padding."""
    draw = torch.Generator().manual_seed(seed)
    enc = torch.randn(B, T, 2, generator=draw)
    lens = torch.randint(1, T + 1, (B,), generator=draw)
    lens[0] = T
    return enc, lens, (torch.randn(B, T, V, generator=draw, dtype=F64) * scale).log_softmax(-1)


def collapse(path: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(token for token, _ in itertools.groupby(path) if token != BLANK)


def ctc_by_alignments(log_probs: Tensor) -> dict[tuple[int, ...], float]:
    """log_probs (T, V) -> the probability of every labelling without EOS, from all V^T alignments."""
    T, V = log_probs.shape
    probs = log_probs.exp().tolist()
    found: dict[tuple[int, ...], float] = {}
    for path in itertools.product([v for v in range(V) if v != EOS], repeat=T):
        p = 1.0
        for t, v in enumerate(path):
            p *= probs[t][v]
        key = collapse(path)
        found[key] = found.get(key, 0.0) + p
    return found


def ctc_by_recursion(log_probs: Tensor, tokens: tuple[int, ...]) -> tuple[float, float]:
    """log_probs (T, V) -> ψ(tokens) and log p(tokens complete), by the frame-by-frame recursion of the literature."""
    never = torch.tensor(-torch.inf, dtype=F64)
    zero = torch.tensor(0.0, dtype=F64)
    T = len(log_probs)
    label = [never] * (T + 1)
    blank = [zero]
    for t in range(T):
        blank.append(blank[t] + log_probs[t, BLANK])
    psi, last = zero, None
    for token in tokens:
        new_label, new_blank, psi = [never], [never], never
        for t in range(T):
            enter = blank[t] if token == last else torch.logaddexp(blank[t], label[t])
            psi = torch.logaddexp(psi, enter + log_probs[t, token])
            new_label.append(torch.logaddexp(new_label[t], enter) + log_probs[t, token])
            new_blank.append(torch.logaddexp(new_label[t], new_blank[t]) + log_probs[t, BLANK])
        label, blank, last = new_label, new_blank, token
    return float(psi), float(torch.logaddexp(label[-1], blank[-1]))


def exhaustive(decoder, enc, lens, ctc, config, scorers=()) -> list[list[Hypothesis]]:
    """Every sequence up to the limit, scored one by one."""
    found = []
    for b, count in enumerate(lens.tolist()):
        limit = max(int(count * config.max_length), config.min_length, 1)
        one = slice(b, b + 1)
        V = ctc.shape[2] if ctc is not None else len(decoder.embed)
        scored = _Scored(decoder, enc[one], lens[one], None if ctc is None else ctc[b, :count], scorers)
        hypotheses = []
        for U in range(config.min_length, limit + 1):
            for tokens in itertools.product(range(2, V), repeat=U):
                one_way = scored.hypothesis(tokens, config)
                if one_way.score > -torch.inf:
                    hypotheses.append(one_way)
        found.append(sorted(hypotheses, key=lambda h: -h.score)[: config.nbest])
    return found


class _Scored:
    def __init__(self, decoder, enc, lens, ctc, scorers):
        self.decoder, self.ctc, self.scorers = decoder, ctc, scorers
        self.memory = decoder.prepare(enc, lens)
        self.after = cache(self._after)

    def _after(self, tokens: tuple[int, ...]):
        """Attention's log-probabilities of the next token, state and sum so far."""
        if not tokens:
            state, total, last = self.decoder.start(self.memory), 0.0, EOS
        else:
            rows, state, before = self.after(tokens[:-1])
            last, total = tokens[-1], before + float(rows[tokens[-1]])
        logits, state = self.decoder.step(torch.tensor([last]), state, self.memory)
        return logits[0].log_softmax(-1), state, total

    def hypothesis(self, tokens: tuple[int, ...], config) -> Hypothesis:
        rows, _, total = self.after(tokens)
        share = config.ctc if self.ctc is not None else 0.0
        parts = {}
        if share < 1:
            parts["attention"] = total + float(rows[EOS])
        if share > 0:
            parts["ctc"] = ctc_by_recursion(self.ctc, tokens)[1]
        score = sum({"attention": 1 - share, "ctc": share}[name] * value for name, value in parts.items())
        for fusion in self.scorers:
            value = fusion.scorer.total(tokens)
            parts[fusion.name] = value
            score += fusion.weight * value
        score = (score + config.length_bonus * len(tokens)) / (len(tokens) + 1) ** config.length_norm
        return Hypothesis(tokens, score, parts)
