"""Neural language models over a tokenizer's tokens: one interface for all, their file, and their perplexity.

Adding one: write its config and name it in `LMConfig`, both in `config.py`; write its network in a file of its own; add
a case to `build`.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asrattn import model_file, text, weights
from asrattn.config import JSONValue, from_plain, to_plain
from asrattn.lm.config import LMConfig, LSTMLMConfig, TransformerLMConfig
from asrattn.lm.perplexity import Perplexity, TextPerplexity
from asrattn.lm.recurrent import LSTMLM
from asrattn.lm.transformer import TransformerLM
from asrattn.text import BLANK, EOS, UNKNOWN, Tokenizer, clean

S = TypeVar("S")
MAX_BATCH_TOKENS = 4096  # tokens of a batch


class LanguageModel(Protocol[S]):
    """Tokens so far -> the next one. State is a nested tuple of tensors, hypotheses N first. The first token is EOS."""

    config: LMConfig

    def start(self, n: int) -> S:
        """The state of n hypotheses before the first token."""
        ...

    def step(self, tokens: Tensor, state: S) -> tuple[Tensor, S]:
        """tokens (N,), state -> logits of the next token (N, V), state."""
        ...

    def __call__(self, tokens: Tensor) -> Tensor:
        """All at once: tokens (B, U), EOS first -> logits (B, U, V)."""
        ...


def build(config: LMConfig, vocabulary: int) -> LSTMLM | TransformerLM:
    match config:
        case LSTMLMConfig():
            return LSTMLM(config, vocabulary)
        case TransformerLMConfig():
            return TransformerLM(config, vocabulary)


class NeuralLM(NamedTuple):
    """A model file in memory; the network is in evaluation mode. The card is what is known of it."""

    network: LSTMLM | TransformerLM
    tokenizer: Tokenizer
    card: dict[str, JSONValue]


def save(
    path: Path, network: LSTMLM | TransformerLM, tokenizer: Tokenizer, card: Mapping[str, JSONValue]
) -> None:
    """Write a file whole or not at all. Raises CheckpointError where the disk refuses."""
    about = {"lm": to_plain(network.config), "tokenizer": tokenizer.to_plain(), "card": dict(card)}
    weights.save(path, network, about)


def load(path: Path) -> NeuralLM:
    """Raises CheckpointError for a file that is damaged, LMError for one that holds something else."""
    plain = model_file.read_language_model(path)
    loaded = weights.load(path, plain)
    with model_file.damaged_configuration(path):
        weights.check_sizes(plain["lm"], loaded, "lm")
        config: LMConfig = from_plain(LMConfig, plain["lm"], "lm")  # type: ignore[arg-type]
        tokenizer = text.from_plain(plain.get("tokenizer"))
        network = weights.build(path, lambda: build(config, tokenizer.size), loaded)
    return NeuralLM(network, tokenizer, plain.get("card") or {})


def pad_inputs_and_targets(sentences: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """B sentences -> inputs (B, U + 1), EOS first, and targets, EOS last; padded with BLANK."""
    longest = max(map(len, sentences)) + 1
    read = torch.full((len(sentences), longest), BLANK)
    foretold = read.clone()
    for row, tokens in enumerate(sentences):
        known = torch.as_tensor(tokens, dtype=torch.int64)
        read[row, 0] = foretold[row, len(known)] = EOS
        read[row, 1 : len(known) + 1] = foretold[row, : len(known)] = known
    return read, foretold


@torch.inference_mode()
def perplexity(network: nn.Module, tokenizer: Tokenizer, texts: Sequence[str]) -> TextPerplexity:
    """Perplexity of texts under a network; empty ones are skipped, as for n-grams."""
    training, device = network.training, next(network.parameters()).device
    network.eval()
    texts = [each for each in map(clean, texts) if each]
    total = Perplexity(0, 0, 0, 0.0, 0.0)
    for batch in _batches([tokenizer.encode_lossy(each) for each in texts]):
        read, foretold = (each.to(device) for each in pad_inputs_and_targets(batch))
        nats = F.cross_entropy(network(read).float().transpose(1, 2), foretold, reduction="none").double()
        unknown, real = foretold == UNKNOWN, foretold != BLANK
        count, known = sum(map(len, batch)), real & ~unknown
        sums = -float((nats * known).sum()), -float((nats * unknown).sum())
        total += Perplexity(len(batch), count, int(unknown.sum()), *sums)
    network.train(training)
    return TextPerplexity(total, sum(len(each.split()) for each in texts), sum(map(len, texts)))


def _batches(sentences: list[list[int]]) -> Iterator[list[list[int]]]:
    """Of like lengths, so that there is little padding."""
    order, start = sorted(sentences, key=len, reverse=True), 0
    while start < len(order):
        size = max(1, MAX_BATCH_TOKENS // (len(order[start]) + 1))
        yield order[start : start + size]
        start += size
