"""Which texts does a model not believe? Likely wrong ones rank first."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from asrattn.checking.finding import Case, Finding, Kind, Severity, of
from asrattn.recognizer import BATCH_SECONDS, Recognizer
from asrattn.scoring.counts import count_chars
from asrattn.search import SearchConfig
from asrattn.segments import LONGEST, waves
from asrattn.text import clean
from asrattn.text.tokens import quote
from asrattn.transcript import Outcome, Transcript

WRONG = Kind("likely wrong text", Severity.SUSPICIOUS, "listen, the first ones first: they are ranked")

DEVIATIONS = 3.0  # above the median loss; a deviation is 1.48 median absolute ones
MISHEARD = 0.5  # errors for each character of the text: above it the model hears something else


class Doubt(NamedTuple):
    """loss: nats a token, of writing the text; errors: of what is heard, in characters for each one of the text."""

    case: Case
    loss: float
    heard: str
    errors: float


Progress = Callable[[Iterator[Outcome], int], Iterable[Outcome]]  # watches so many outcomes pass


def examine(
    cases: Sequence[Case], recognizer: Recognizer, search: SearchConfig, progress: Progress
) -> list[Finding]:
    """The utterances whose texts a model finds unlikely, and hears something else in, by their loss, highest first."""
    ranked = sorted(doubts(cases, recognizer, search, progress), key=lambda doubt: -doubt.loss)
    losses = np.array([doubt.loss for doubt in ranked])
    if not len(losses):
        return []
    median = np.median(losses)
    limit = float(median + DEVIATIONS * 1.48 * np.median(np.abs(losses - median)))
    return [_finding(each) for each in ranked if each.loss > limit and each.errors > MISHEARD]


def doubts(
    cases: Sequence[Case], recognizer: Recognizer, search: SearchConfig, progress: Progress
) -> Iterator[Doubt]:
    """What a model thinks of each text, those of one length after the other; of sounds of up to LONGEST seconds."""
    able = [
        c for c in cases if not isinstance(c.heard, str) and c.seconds <= LONGEST and c.utterance.text.strip()
    ]
    able.sort(key=lambda case: case.seconds)
    outcomes = progress(recognizer.transcribe((case.utterance for case in able), search), len(able))
    judged = [(c, o.text) for c, o in zip(able, outcomes, strict=True) if isinstance(o, Transcript)]
    while judged:
        size = max(1, int(BATCH_SECONDS[recognizer.device.type] / max(judged[-1][0].seconds, 0.01)))
        judged, batch = judged[:-size], judged[-size:]
        losses = _losses([case for case, _ in batch], recognizer)
        for (case, heard), loss in zip(batch, losses, strict=True):
            text = clean(case.utterance.text)
            yield Doubt(case, loss, heard, count_chars(text, heard).errors / len(text))


def _losses(cases: Sequence[Case], recognizer: Recognizer) -> list[float]:
    sounds = [next(waves(case.utterance, recognizer.rate)) for case in cases]
    return recognizer.losses(sounds, [recognizer.tokenizer.encode_lossy(c.utterance.text) for c in cases])


def _finding(doubt: Doubt) -> Finding:
    said, heard = quote(clean(doubt.case.utterance.text)), quote(doubt.heard)
    return of(WRONG, doubt.case, f"{doubt.loss:.2f} nats a token: {said}, heard: {heard}")
