"""Tuning of the decoding settings on dev: weights first, with a small beam, then the beam size."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from asrattn import metrics
from asrattn.audio.interface import Wave
from asrattn.config import check
from asrattn.data.manifest import Utterance
from asrattn.decoding import DecodingConfig
from asrattn.decoding.hypothesis import Hypothesis
from asrattn.encoders.output import EncoderOutput
from asrattn.inference import hallucination
from asrattn.inference.confidence import ConfidenceFeatures
from asrattn.inference.hallucination import ConfidenceThresholds
from asrattn.inference.recognizer import Recognizer
from asrattn.inference.segmentation import read_waves
from asrattn.metrics import ErrorCounts, count_char_errors, count_word_errors, sum_counts
from asrattn.text import Spelling

PROBE_BEAM_SIZE = 4  # while the weights are tuned
BEAM_SIZES = (1, 2, 3, 4, 6, 8, 10, 16, 24)
CTC_WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.85, 1.0)
LENGTH_BONUSES = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0)
LENGTH_NORMS = (0.0, 0.5, 1.0)
LM_WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8)
BATCH_SECONDS = 60.0


class EncodedBatch(NamedTuple):
    """A batch of utterances: their indices, encoder output, and CTC log-probabilities (B, T, V)."""

    indices: list[int]
    enc: EncoderOutput
    ctc_log_probs: Tensor


class EncodedSet(NamedTuple):
    """A set, encoded once. cpu_seconds: the cost of that, reading included."""

    utterances: list[Utterance]
    waves: list[Wave]
    batches: list[EncodedBatch]
    cpu_seconds: float

    @property
    def audio_seconds(self) -> float:
        return sum(u.seconds for u in self.utterances)


@dataclass(frozen=True)
class Trial:
    """Settings and their result; weights of the fused scorers, rtf in CPU-seconds per second of audio."""

    decoding: DecodingConfig
    weights: tuple[float, ...]
    words: ErrorCounts
    characters: ErrorCounts
    rtf: float
    hypotheses: tuple[Hypothesis, ...]

    @property
    def errors(self) -> tuple[int, int]:
        """Errors of words, then of characters; fewer are better."""
        return self.words.errors, self.characters.errors


@torch.inference_mode()
def encode(recognizer: Recognizer, utterances: Iterable[Utterance]) -> EncodedSet:
    """Encode a set; utterances longer than one segment are skipped. Raises AudioError for unreadable audio."""
    started = time.process_time()
    own, waves = [], []
    for utterance in utterances:
        wave, *more = read_waves(utterance, recognizer.rate)
        if not more:
            own.append(utterance)
            waves.append(wave)
    check(bool(own), "tune-decoding: no utterance is short enough to be decoded in one segment")
    order = sorted(range(len(waves)), key=lambda i: -len(waves[i]))
    batches = []
    while order:
        size = max(1, int(BATCH_SECONDS * recognizer.rate / len(waves[order[0]])))
        indices, order = order[:size], order[size:]
        enc, ctc = recognizer.encode([waves[i] for i in indices])
        batches.append(EncodedBatch(indices, enc._replace(middle=None), ctc))
    return EncodedSet(own, waves, batches, time.process_time() - started)


def tune(
    recognizer: Recognizer, cache: EncodedSet, max_rtf: float | None, on_trial: Callable[[Trial], None]
) -> tuple[Trial, list[Trial]]:
    """The best trial within the budget, and those of all beam sizes, in ascending order. on_trial is called with each.

    Coordinate descent: one setting after the other, each at the best of those before; a setting that changes no error
    is kept. Then the smallest beam size with the fewest errors: below PROBE_BEAM_SIZE only if no larger one is
    affordable, since one that costs no error on a small dev may cost some elsewhere.
    """
    tried: dict[tuple[DecodingConfig, tuple[float, ...]], Trial] = {}

    def attempt(decoding: DecodingConfig, weights: tuple[float, ...]) -> Trial:
        if (decoding, weights) not in tried:
            tried[decoding, weights] = trial = run_trial(recognizer, cache, decoding, weights)
            on_trial(trial)
        return tried[decoding, weights]

    def is_possible(decoding: DecodingConfig) -> bool:
        """CTC over bytes needs the decoder, which proposes the tokens."""
        if not recognizer.is_trained("ctc"):
            return decoding.ctc == 0
        return decoding.ctc < 1 or recognizer.model.spelling.rows is None

    best = attempt(
        replace(recognizer.decoding, beam_size=PROBE_BEAM_SIZE, nbest=1),
        tuple(f.weight for f in recognizer.scorers),
    )
    for candidates in (_ctc, _weights, _lengths, _ctc):
        best = min(
            [best, *(attempt(*each) for each in candidates(best) if is_possible(each[0]))], key=_errors
        )  # of equal ones the first
    beams = [attempt(replace(best.decoding, beam_size=beam), best.weights) for beam in BEAM_SIZES]
    affordable = [trial for trial in beams if max_rtf is None or trial.rtf <= max_rtf]
    wide = [trial for trial in affordable if trial.decoding.beam_size >= PROBE_BEAM_SIZE]
    return min(wide or affordable or beams[:1], key=_errors), beams


def _errors(trial: Trial) -> tuple[int, int]:
    return trial.errors


Candidate = tuple[DecodingConfig, tuple[float, ...]]


def _ctc(best: Trial) -> Iterator[Candidate]:
    for ctc in CTC_WEIGHTS:
        yield replace(best.decoding, ctc=ctc), best.weights


def _weights(best: Trial) -> Iterator[Candidate]:
    """Weights of language models, each with the length bonuses that make up for their preference for short texts."""
    for i, now in enumerate(best.weights):
        for weight in (
            math.copysign(size, now) for size in LM_WEIGHTS
        ):  # -0.0 still marks a subtracted model
            for bonus in LENGTH_BONUSES if weight else (best.decoding.length_bonus,):
                weights = (*best.weights[:i], weight, *best.weights[i + 1 :])
                yield replace(best.decoding, length_bonus=bonus), weights


def _lengths(best: Trial) -> Iterator[Candidate]:
    for bonus in LENGTH_BONUSES:
        yield replace(best.decoding, length_bonus=bonus), best.weights
    for normalize in LENGTH_NORMS:
        yield replace(best.decoding, length_norm=normalize), best.weights


@torch.inference_mode()
def run_trial(
    recognizer: Recognizer, cache: EncodedSet, decoding: DecodingConfig, weights: tuple[float, ...]
) -> Trial:
    scorers = [f._replace(weight=w) for f, w in zip(recognizer.scorers, weights, strict=True)]
    started = time.process_time()
    best: dict[int, Hypothesis] = {}
    for numbers, enc, ctc in cache.batches:
        found = recognizer.decode(enc, ctc, decoding, scorers)
        best.update(zip(numbers, (nbest[0] for nbest in found), strict=True))
    spent = time.process_time() - started + cache.cpu_seconds
    hypotheses = tuple(best[i] for i in range(len(cache.utterances)))
    pairs = [
        (utterance.text, recognizer.tokenizer.decode(hypothesis.tokens))
        for utterance, hypothesis in zip(cache.utterances, hypotheses, strict=True)
    ]
    words, characters = (
        sum_counts(count(*pair) for pair in pairs) for count in (count_word_errors, count_char_errors)
    )
    return Trial(decoding, weights, words, characters, spent / cache.audio_seconds, hypotheses)


def label_confidence_features(
    recognizer: Recognizer, cache: EncodedSet, hypotheses: Sequence[Hypothesis]
) -> dict[str, list[tuple[ConfidenceFeatures, bool]]]:
    """Confidence features of each hypothesis word, and whether it is correct; by speaker, or by utterance."""
    found: dict[str, list[tuple[ConfidenceFeatures, bool]]] = {}
    for numbers, enc, ctc in cache.batches:
        texts = [hypotheses[i].tokens for i in numbers]
        aligned = recognizer.align_encoded([cache.waves[i] for i in numbers], enc, ctc, texts)
        for i, words in zip(numbers, aligned, strict=True):
            utterance = cache.utterances[i]
            pairs = metrics.align(utterance.text.split(), [word.text for word, _ in words])
            correct = [pair.kind == "equal" for pair in pairs if pair.kind != "delete"]
            own = found.setdefault(utterance.speaker or utterance.id, [])
            own += [(features, label) for (_, features), label in zip(words, correct, strict=True)]
    return found


def fit_thresholds(cache: EncodedSet, chosen: Trial, spelling: Spelling) -> ConfidenceThresholds:
    """The thresholds of the hallucination filter, from the uncertainty on dev."""
    found = [
        hallucination.measure_uncertainty(
            chosen.hypotheses[i],
            ctc[row, : int(enc.lens[row])] if chosen.decoding.ctc > 0 else None,
            spelling,
        )
        for numbers, enc, ctc in cache.batches
        for row, i in enumerate(numbers)
    ]
    return ConfidenceThresholds.from_scores(found)
