"""The search of a model, chosen on dev: its weights first, with a small beam, and then the beam that pays."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
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

PROBE_BEAM_SIZE = 4  # the beam that weights are compared with
BEAM_SIZES = (1, 2, 3, 4, 6, 8, 10, 16, 24)
CTC_WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.85, 1.0)
LENGTH_BONUSES = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0)
LENGTH_NORMS = (0.0, 0.5, 1.0)
LM_WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8)
BATCH_SECONDS = 60.0


class EncodedBatch(NamedTuple):
    """Utterances that are decoded at once: their numbers, frames, and what CTC says of them (B, T, V)."""

    indices: list[int]
    enc: EncoderOutput
    ctc_log_probs: Tensor


class EncodedSet(NamedTuple):
    """A set, encoded once. cpu: seconds that took, reading included."""

    utterances: list[Utterance]
    waves: list[Wave]
    batches: list[EncodedBatch]
    cpu_seconds: float

    @property
    def audio_seconds(self) -> float:
        return sum(u.seconds for u in self.utterances)


@dataclass(frozen=True)
class Trial:
    """Settings and what came of them; weights are those of the fused scorers, rtf CPU-seconds a second of audio."""

    decoding: DecodingConfig
    weights: tuple[float, ...]
    words: ErrorCounts
    characters: ErrorCounts
    rtf: float
    hypotheses: tuple[Hypothesis, ...]

    @property
    def errors(self) -> tuple[int, int]:
        """Fewer is better: of words, then of characters."""
        return self.words.errors, self.characters.errors


@torch.inference_mode()
def encode(recognizer: Recognizer, utterances: Iterable[Utterance]) -> EncodedSet:
    """Raises AudioError for what cannot be read; utterances that are cut in pieces when used are not taken."""
    started = time.process_time()
    own, heard = [], []
    for utterance in utterances:
        wave, *more = read_waves(utterance, recognizer.rate)
        if not more:
            own.append(utterance)
            heard.append(wave)
    check(bool(own), "tune: no utterance is short enough to be decoded in one piece")
    order = sorted(range(len(heard)), key=lambda i: -len(heard[i]))
    batches = []
    while order:
        size = max(1, int(BATCH_SECONDS * recognizer.rate / len(heard[order[0]])))
        numbers, order = order[:size], order[size:]
        enc, ctc = recognizer.encode([heard[i] for i in numbers])
        batches.append(EncodedBatch(numbers, enc._replace(middle=None), ctc))
    return EncodedSet(own, heard, batches, time.process_time() - started)


def tune(
    recognizer: Recognizer, cache: EncodedSet, max_rtf: float | None, on_trial: Callable[[Trial], None]
) -> tuple[Trial, list[Trial]]:
    """The best trial within the budget, and those of all beams, the smallest first. Every trial is told when it ends.

    One setting after the other, each at the best of those before; one that changes no error stays as it is. Then the
    smallest beam with the fewest errors: below PROBE only where nothing else is affordable, since what costs nothing on
    a small dev may cost elsewhere.
    """
    tried: dict[tuple[DecodingConfig, tuple[float, ...]], Trial] = {}

    def attempt(search: DecodingConfig, weights: tuple[float, ...]) -> Trial:
        if (search, weights) not in tried:
            tried[search, weights] = trial = run_trial(recognizer, cache, search, weights)
            on_trial(trial)
        return tried[search, weights]

    best = attempt(
        replace(recognizer.decoding, beam_size=PROBE_BEAM_SIZE, nbest=1),
        tuple(f.weight for f in recognizer.scorers),
    )
    for candidates in (_ctc, _weights, _lengths, _ctc):
        best = min([best, *(attempt(*each) for each in candidates(best))], key=_errors)  # of equals the first
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
    """Of language models, each together with the bonus that makes up for the short texts it likes."""
    for i, now in enumerate(best.weights):
        for weight in (math.copysign(size, now) for size in LM_WEIGHTS):  # -0.0 is still to be taken away
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
        best.update(zip(numbers, (hypotheses[0] for hypotheses in found), strict=True))
    spent = time.process_time() - started + cache.cpu_seconds
    heard = tuple(best[i] for i in range(len(cache.utterances)))
    pairs = [
        (utterance.text, recognizer.tokenizer.decode(hypothesis.tokens))
        for utterance, hypothesis in zip(cache.utterances, heard, strict=True)
    ]
    words, characters = (
        sum_counts(count(*pair) for pair in pairs) for count in (count_word_errors, count_char_errors)
    )
    return Trial(decoding, weights, words, characters, spent / cache.audio_seconds, heard)


def label_confidence_features(
    recognizer: Recognizer, cache: EncodedSet, hypotheses: Sequence[Hypothesis]
) -> dict[str, list[tuple[ConfidenceFeatures, bool]]]:
    """What speaks for each word heard, and whether it is right; by speaker, or utterance where none is known."""
    found: dict[str, list[tuple[ConfidenceFeatures, bool]]] = {}
    for numbers, enc, ctc in cache.batches:
        texts = [hypotheses[i].tokens for i in numbers]
        told = recognizer.align_encoded([cache.waves[i] for i in numbers], enc, ctc, texts)
        for i, pairs in zip(numbers, told, strict=True):
            utterance = cache.utterances[i]
            said = metrics.align(utterance.text.split(), [word.text for word, _ in pairs])
            right = [pair.kind == "equal" for pair in said if pair.kind != "delete"]
            own = found.setdefault(utterance.speaker or utterance.id, [])
            own += [(about, truth) for (_, about), truth in zip(pairs, right, strict=True)]
    return found


def fit_thresholds(cache: EncodedSet, chosen: Trial) -> ConfidenceThresholds:
    """Where doubt begins, by what there is to doubt in dev."""
    found = [
        hallucination.measure_uncertainty(
            chosen.hypotheses[i], ctc[row, : int(enc.lens[row])] if chosen.decoding.ctc > 0 else None
        )
        for numbers, enc, ctc in cache.batches
        for row, i in enumerate(numbers)
    ]
    return ConfidenceThresholds.from_scores(found)


def plot_beam_sizes(beams: Sequence[Trial], chosen: Trial, max_rtf: float | None, path: Path) -> None:
    """What a beam costs and brings, as an SVG."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.6), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.subplots()
    axes.plot([t.rtf for t in beams], [100 * t.words.rate for t in beams], ".-", color="C0")
    axes.plot(chosen.rtf, 100 * chosen.words.rate, "o", color="C3", label="chosen")
    for trial in beams:
        place = (trial.rtf, 100 * trial.words.rate)
        axes.annotate(str(trial.decoding.beam_size), place, (0, 5), textcoords="offset points", fontsize=8)
    if max_rtf is not None:
        axes.axvline(max_rtf, linestyle=":", color="0.5", label="budget")
    axes.set(xlabel="CPU-seconds a second of audio", ylabel="dev WER, %", title="Size of the beam")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
    figure.savefig(path, format="svg", metadata={"Date": None})
