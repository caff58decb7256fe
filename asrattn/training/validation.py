"""Judging a model while it is trained: dev decoded for real, every utterance counted once."""

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from asrattn import doctor, scoring
from asrattn.doctor import UNSEEN, Looks
from asrattn.model import LossConfig
from asrattn.model.speech_model import SpeechModel
from asrattn.scoring import ErrorCounts, Row, SetResult
from asrattn.search import SearchConfig
from asrattn.search.beam import beam_search
from asrattn.search.greedy import ctc_greedy
from asrattn.text import EOS, Tokenizer
from asrattn.training.batches import Batch

EXAMINED = 16  # utterances of a batch in which attention is measured


@dataclass(frozen=True)
class Scored:
    """One dev utterance: the search's result, the errors in words of greedy CTC, the loss of its batch, its length."""

    row: Row
    ctc: ErrorCounts
    loss: float
    seconds: float = 0.0


@dataclass(frozen=True)
class Validation:
    """What a validation found: every dev utterance once, ordered by id. Rates are shares, not percentages.

    looks   what attention does, in some utterances of middle length
    sight   the attention (U, T) of one of them, the same one every time
    """

    scored: tuple[Scored, ...]
    looks: Looks = UNSEEN
    sight: Tensor | None = None

    @cached_property
    def wer(self) -> float:
        return scoring.total(s.row.words for s in self.scored).rate

    @cached_property
    def cer(self) -> float:
        return scoring.total(s.row.chars for s in self.scored).rate

    @cached_property
    def ctc_wer(self) -> float:
        return scoring.total(s.ctc for s in self.scored).rate

    @cached_property
    def loss(self) -> float:
        return sum(s.loss for s in self.scored) / max(len(self.scored), 1)

    def result(self) -> SetResult:
        """With intervals, which take a moment."""
        return scoring.summarize("dev", [s.row for s in self.scored])


def look(model: SpeechModel, batch: Batch, loss: LossConfig) -> tuple[Looks, Tensor]:
    """What attention does in a few utterances of a batch, and its weights (U, T) in the first one."""
    wave, wave_lens, tokens, token_lens = (
        x[:EXAMINED] for x in (batch.wave, batch.wave_lens, batch.tokens, batch.token_lens)
    )
    looks = doctor.examine(model, wave, wave_lens, tokens, token_lens, aligned=loss.ctc > 0)
    enc = model.encode(wave[:1], wave_lens[:1])
    inputs = torch.nn.functional.pad(tokens[:1, : int(token_lens[0])], (1, 0), value=EOS)
    weights = model.decoder(inputs, enc.output, enc.lens).look[0, :, : int(enc.lens[0])]
    return looks, weights.float().cpu()


def decode(
    model: SpeechModel, tokenizer: Tokenizer, batch: Batch, loss: LossConfig, search: SearchConfig
) -> list[Scored]:
    """Decode a batch and compare with its texts; `model` is in evaluation mode."""
    feats, lens = model.frontend(batch.wave, batch.wave_lens)
    plain = replace(loss, consistency=0.0)  # it needs two masked copies; nothing is masked here
    nats = float(model.loss(feats, lens, batch.tokens, batch.token_lens, plain).total)
    enc = model.encoder(feats, lens)
    log_probs = model.ctc_log_probs(enc.output)
    found = beam_search(model.decoder, enc.output, enc.lens, log_probs if search.ctc > 0 else None, search)
    scored = []
    for utterance, hypotheses, greedy in zip(
        batch.utterances, found, ctc_greedy(log_probs, enc.lens), strict=True
    ):
        text = tokenizer.decode(hypotheses[0].tokens)
        row = scoring.score(utterance.id, utterance.text, text, utterance.speaker)
        ctc = scoring.count_words(utterance.text, tokenizer.decode(greedy.tokens))
        scored.append(Scored(row, ctc, nats, utterance.seconds))
    return scored
