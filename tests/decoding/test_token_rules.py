"""Rules about the next token, against a literal implementation, step by step."""

import math
from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from asrattn.decoding import DecodingConfig
from asrattn.decoding.beam_search import beam_search
from asrattn.decoding.token_rules import MAX_FIRST_TIMESTAMP, RuledDecoder, TokenRules
from asrattn.text import EOS

TEXT = 9  # ids below are text, apart from EOS; timestamps from here on
V = 80
STAMPS = range(TEXT, V)
SUPPRESS, BEGIN = (2, 5), (4, EOS)


class Fixed:
    """A decoder whose logits (steps, V) do not depend on what was said."""

    max_tokens = None

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits

    def prepare(self, enc: Tensor, lens: Tensor) -> tuple[Tensor, ...]:
        return (enc,)

    def start(self, memory: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (torch.zeros(len(memory[0]), dtype=torch.int64),)

    def step(
        self, tokens: Tensor, state: tuple[Tensor, ...], memory: Any
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        (number,) = state
        return self.logits[number].clone(), (number + 1,)


def literal(logits: list[float], said: list[int], rules: TokenRules) -> list[float]:
    """Suppressed tokens, then ApplyTimestampRules of Radford et al. 2023, as openai/whisper has them, one hypothesis
    at a time."""
    logits = list(logits)

    def forbid(tokens: Any) -> None:
        for token in tokens:
            logits[token] = -math.inf

    forbid(rules.suppress)
    if not said:
        forbid(rules.begin_suppress)
    if rules.timestamps is None:
        return logits
    begin = rules.timestamps.start
    text = [token for token in range(begin) if token != EOS]
    last_was_timestamp = len(said) >= 1 and said[-1] >= begin
    penultimate_was_timestamp = len(said) < 2 or said[-2] >= begin
    if last_was_timestamp:
        if penultimate_was_timestamp:
            forbid(range(begin, V))  # has to be text
        else:
            forbid(text)  # cannot be text
    stamps = [token for token in said if token >= begin]
    if stamps:
        opens = last_was_timestamp and not penultimate_was_timestamp
        forbid(range(begin, stamps[-1] if opens else stamps[-1] + 1))
    if not said:
        forbid(range(begin))
        forbid(range(begin + MAX_FIRST_TIMESTAMP + 1, V))
    top = max(logits)
    total = sum(math.exp(x - top) for x in logits)
    log_probs = [x - top - math.log(total) for x in logits]
    of_stamps = sum(math.exp(x) for x in log_probs[begin:])
    if of_stamps > 0 and math.log(of_stamps) > max(log_probs[:begin]):
        forbid(range(begin))
    return logits


@given(
    seed=st.integers(0, 10**6),
    steps=st.integers(1, 8),
    timestamps=st.booleans(),
    lean=st.floats(-6, 6),
    rows=st.integers(1, 3),
)
def test_rules_are_whispers(seed: int, steps: int, timestamps: bool, lean: float, rows: int) -> None:
    """Random logits, and after each step a token that is allowed, drawn at random."""
    torch.manual_seed(seed)
    logits = 2 * torch.randn(steps, V)
    logits[:, :TEXT] += lean
    rules = TokenRules(SUPPRESS, BEGIN, STAMPS if timestamps else None)
    ruled = RuledDecoder(Fixed(logits), rules)
    memory = ruled.prepare(torch.zeros(rows, 4, 2), torch.full((rows,), 4))
    state, tokens = ruled.start(memory), torch.full((rows,), EOS)
    said: list[list[int]] = [[] for _ in range(rows)]
    for number in range(steps):
        found, state = ruled.step(tokens, state, memory)
        for row in range(rows):
            wanted = torch.tensor(literal(logits[number].tolist(), said[row], rules))
            torch.testing.assert_close(found[row], wanted)
        found[:, EOS] = -torch.inf  # the hypothesis goes on
        if bool(found.isinf().all(1).any()):
            return  # only the end was allowed
        tokens = found.softmax(-1).multinomial(1)[:, 0]
        for row, token in enumerate(tokens.tolist()):
            said[row].append(token)


def test_beam_search_obeys_the_rules() -> None:
    torch.manual_seed(0)
    ruled = RuledDecoder(Fixed(torch.randn(40, V)), TokenRules(SUPPRESS, BEGIN, STAMPS))
    config = DecodingConfig(beam_size=5, nbest=5, ctc=0.0)
    (hypotheses,) = beam_search(ruled, torch.zeros(1, 8, 2), torch.tensor([8]), None, config)
    for each in hypotheses:
        assert each.tokens
        assert each.tokens[0] in STAMPS
        assert not set(each.tokens) & set(SUPPRESS)
        stamps = [token for token in each.tokens if token in STAMPS]
        assert stamps == sorted(stamps)


def test_without_rules_nothing_changes() -> None:
    logits = torch.randn(3, V)
    ruled = RuledDecoder(Fixed(logits), TokenRules())
    memory = ruled.prepare(torch.zeros(1, 4, 2), torch.tensor([4]))
    found, _ = ruled.step(torch.tensor([EOS]), ruled.start(memory), memory)
    assert torch.equal(found[0], logits[0])
