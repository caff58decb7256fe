"""Label errors, found by a model: utterances with an unlikely transcript, ranked by their loss."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from asrattn.corpus_check.finding import CheckedUtterance, Finding, FindingKind, Severity, make_finding
from asrattn.decoding import DecodingConfig
from asrattn.inference.recognizer import BATCH_SECONDS, Recognizer
from asrattn.inference.segmentation import MAX_SEGMENT_SECONDS, read_waves
from asrattn.inference.transcript import Outcome, Transcript
from asrattn.metrics.wer import count_char_errors
from asrattn.text import clean
from asrattn.text.tokenizer import quote

LIKELY_WRONG_TEXT = FindingKind(
    "likely wrong text", Severity.SUSPICIOUS, "listen to them in this order: they are ranked"
)

LOSS_DEVIATIONS = 3.0  # above the median loss; a deviation is 1.48 median absolute ones
MIN_CER = 0.5  # errors for each character of the text: above it the model recognises something else


class LabelScore(NamedTuple):
    """loss: nats per token of the transcript; errors: of the hypothesis, per character of the transcript."""

    case: CheckedUtterance
    loss: float
    hypothesis: str
    cer: float


OutcomeProgress = Callable[[Iterator[Outcome], int], Iterable[Outcome]]  # watches so many outcomes pass


def find_label_errors(
    cases: Sequence[CheckedUtterance],
    recognizer: Recognizer,
    decoding: DecodingConfig,
    progress: OutcomeProgress,
) -> list[Finding]:
    """Utterances whose transcript is unlikely and where the model recognises something else, highest loss first."""
    ranked = sorted(score_labels(cases, recognizer, decoding, progress), key=lambda score: -score.loss)
    losses = np.array([score.loss for score in ranked])
    if not len(losses):
        return []
    median = np.median(losses)
    limit = float(median + LOSS_DEVIATIONS * 1.48 * np.median(np.abs(losses - median)))
    return [_finding(each) for each in ranked if each.loss > limit and each.cer > MIN_CER]


def score_labels(
    cases: Sequence[CheckedUtterance],
    recognizer: Recognizer,
    decoding: DecodingConfig,
    progress: OutcomeProgress,
) -> Iterator[LabelScore]:
    """The scores of each transcript, sorted by length; of audio of up to LONGEST seconds."""
    able = [
        c
        for c in cases
        if not isinstance(c.audio_result, str)
        and c.seconds <= MAX_SEGMENT_SECONDS
        and c.utterance.text.strip()
    ]
    able.sort(key=lambda case: case.seconds)
    outcomes = progress(recognizer.transcribe((case.utterance for case in able), decoding), len(able))
    decoded = [(c, o.text) for c, o in zip(able, outcomes, strict=True) if isinstance(o, Transcript)]
    while decoded:
        size = max(1, int(BATCH_SECONDS[recognizer.device.type] / max(decoded[-1][0].seconds, 0.01)))
        decoded, batch = decoded[:-size], decoded[-size:]
        losses = _losses([case for case, _ in batch], recognizer)
        for (case, hyp), loss in zip(batch, losses, strict=True):
            text = clean(case.utterance.text)
            yield LabelScore(case, loss, hyp, count_char_errors(text, hyp).errors / len(text))


def _losses(cases: Sequence[CheckedUtterance], recognizer: Recognizer) -> list[float]:
    waves = [next(read_waves(case.utterance, recognizer.rate)) for case in cases]
    return recognizer.losses(waves, [recognizer.tokenizer.encode_lossy(c.utterance.text) for c in cases])


def _finding(score: LabelScore) -> Finding:
    text, hyp = quote(clean(score.case.utterance.text)), quote(score.hypothesis)
    return make_finding(LIKELY_WRONG_TEXT, score.case, f"{score.loss:.2f} nats a token: {text}, hyp: {hyp}")
