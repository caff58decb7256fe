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
from asrattn.encoders.output import EncoderOutput
from asrattn.metrics import ErrorCounts, ScoredUtterance, SetResult
from asrattn.metrics.normalize import NORMALIZERS
from asrattn.model import LossConfig
from asrattn.model.speech_model import SpeechModel
from asrattn.text import EOS, Tokenizer
from asrattn.training.data.sampler import Batch
from asrattn.training.encoder_cache import EncoderCache

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


def measure_attention(
    model: SpeechModel, batch: Batch, loss: LossConfig, cache: EncoderCache | None = None
) -> tuple[AttentionMetrics, Tensor]:
    """Attention metrics of a few utterances of a batch, and the attention weights (U, T) of the first one."""
    count = MAX_ATTENTION_UTTERANCES
    enc = _encode(model, batch, cache)
    enc = enc._replace(output=enc.output[:count], lens=enc.lens[:count], middle=None)
    tokens, token_lens = batch.tokens[:count], batch.token_lens[:count]
    has_ctc = loss.ctc > 0 and loss.recognition > 0
    measured = attention_metrics.measure_encoded(model, enc, tokens, token_lens, has_ctc)
    inputs = torch.nn.functional.pad(tokens[:1, : int(token_lens[0])], (1, 0), value=EOS)
    decoded = model.decoder(inputs, enc.output[:1], enc.lens[:1])
    return measured, decoded.alignment_weights[0, :, : int(enc.lens[0])].float().cpu()


def _encode(model: SpeechModel, batch: Batch, cache: EncoderCache | None) -> EncoderOutput:
    return cache.encode(model, batch) if cache else model.encode(batch.wave, batch.wave_lens)


def decode_batch(
    model: SpeechModel,
    tokenizer: Tokenizer,
    batch: Batch,
    loss: LossConfig,
    decoding: DecodingConfig,
    cache: EncoderCache | None = None,
    normalize: str = "none",
) -> list[DevUtteranceResult]:
    """Decode a batch and score it against its references, both normalised; `model` is in evaluation mode."""
    enc = _encode(model, batch, cache)
    normalizer = NORMALIZERS[normalize]
    plain = replace(loss, consistency=0.0)  # it needs two masked copies
    nats = float(model.loss_of_encoded(enc, batch.tokens, batch.token_lens, plain).total)
    log_probs = model.ctc_log_probs(enc.output, enc.lens)
    found = beam_search(
        model.stepwise_decoder(),
        enc.output,
        enc.lens,
        log_probs if decoding.ctc > 0 else None,
        decoding,
        labels=model.label_table(enc.lens.device),
    )
    scored = []
    for utterance, hypotheses, greedy in zip(
        batch.utterances, found, ctc_greedy_search(log_probs, enc.lens), strict=True
    ):
        text = normalizer(tokenizer.decode(hypotheses[0].tokens))
        row = metrics.score_utterance(utterance.id, normalizer(utterance.text), text, utterance.speaker)
        ctc = metrics.count_word_errors(
            model.spelling.reference(utterance.text), model.spelling.decode(greedy.tokens, tokenizer)
        )
        scored.append(DevUtteranceResult(row, ctc, nats, utterance.seconds))
    return scored
