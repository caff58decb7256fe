"""Validation: dev decoded by beam search; WER over all ranks, every utterance counted once."""

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from asrattn import attention_metrics, metrics
from asrattn.attention_metrics import UNDEFINED_METRICS, AttentionMetrics
from asrattn.decoding import DecodingConfig
from asrattn.decoding.beam_search import beam_search
from asrattn.decoding.greedy import ctc_greedy_search
from asrattn.metrics import ErrorCounts, ScoredUtterance, SetResult
from asrattn.model import LossConfig
from asrattn.model.speech_model import SpeechModel
from asrattn.text import EOS, Tokenizer
from asrattn.training.data.sampler import Batch

MAX_ATTENTION_UTTERANCES = 16  # of a batch, whose attention metrics are computed


@dataclass(frozen=True)
class DevUtteranceResult:
    """One dev utterance: the scored hypothesis, the word errors of greedy CTC, the loss of its batch, its length."""

    row: ScoredUtterance
    ctc_errors: ErrorCounts
    loss: float
    seconds: float = 0.0


@dataclass(frozen=True)
class Validation:
    """The result of a validation: every dev utterance once, ordered by id. Rates are fractions, not percentages.

    attention_metrics  mean over some utterances of medium length
    attention_weights  those (U, T) of one of them, the same one every time
    """

    scored: tuple[DevUtteranceResult, ...]
    attention_metrics: AttentionMetrics = UNDEFINED_METRICS
    attention_weights: Tensor | None = None

    @cached_property
    def wer(self) -> float:
        return metrics.sum_counts(s.row.words for s in self.scored).rate

    @cached_property
    def cer(self) -> float:
        return metrics.sum_counts(s.row.chars for s in self.scored).rate

    @cached_property
    def ctc_wer(self) -> float:
        return metrics.sum_counts(s.ctc_errors for s in self.scored).rate

    @cached_property
    def loss(self) -> float:
        return sum(s.loss for s in self.scored) / max(len(self.scored), 1)

    def result(self) -> SetResult:
        """With confidence intervals, which take a moment."""
        return metrics.summarize("dev", [s.row for s in self.scored])


def measure_attention(model: SpeechModel, batch: Batch, loss: LossConfig) -> tuple[AttentionMetrics, Tensor]:
    """Attention metrics of a few utterances of a batch, and the attention weights (U, T) of the first one."""
    wave, wave_lens, tokens, token_lens = (
        x[:MAX_ATTENTION_UTTERANCES] for x in (batch.wave, batch.wave_lens, batch.tokens, batch.token_lens)
    )
    measured = attention_metrics.measure(model, wave, wave_lens, tokens, token_lens, has_ctc=loss.ctc > 0)
    enc = model.encode(wave[:1], wave_lens[:1])
    inputs = torch.nn.functional.pad(tokens[:1, : int(token_lens[0])], (1, 0), value=EOS)
    weights = model.decoder(inputs, enc.output, enc.lens).last_layer_weights[0, :, : int(enc.lens[0])]
    return measured, weights.float().cpu()


def decode_batch(
    model: SpeechModel, tokenizer: Tokenizer, batch: Batch, loss: LossConfig, decoding: DecodingConfig
) -> list[DevUtteranceResult]:
    """Decode a batch and score it against its references; `model` is in evaluation mode."""
    feats, lens = model.frontend(batch.wave, batch.wave_lens)
    plain = replace(loss, consistency=0.0)  # it needs two masked copies
    nats = float(model.loss(feats, lens, batch.tokens, batch.token_lens, plain).total)
    enc = model.encoder(feats, lens)
    log_probs = model.ctc_log_probs(enc.output)
    found = beam_search(
        model.stepwise_decoder(), enc.output, enc.lens, log_probs if decoding.ctc > 0 else None, decoding
    )
    scored = []
    for utterance, hypotheses, greedy in zip(
        batch.utterances, found, ctc_greedy_search(log_probs, enc.lens), strict=True
    ):
        text = tokenizer.decode(hypotheses[0].tokens)
        row = metrics.score_utterance(utterance.id, utterance.text, text, utterance.speaker)
        ctc = metrics.count_word_errors(utterance.text, tokenizer.decode(greedy.tokens))
        scored.append(DevUtteranceResult(row, ctc, nats, utterance.seconds))
    return scored
