"""Duration checks: letters per second, and the frames that CTC needs."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from asrattn.corpus_check.audio_quality import SILENCE_DB
from asrattn.corpus_check.finding import (
    CheckedUtterance,
    Finding,
    FindingKind,
    Severity,
    is_train_split,
    make_finding,
)
from asrattn.text import clean
from asrattn.text.tokenizer import quote

TOO_FEW_FRAMES = FindingKind(
    "too few frames", Severity.BREAKS, "truncated audio or wrong transcript: CTC cannot align it"
)
TEXT_TOO_LONG = FindingKind(
    "text too long", Severity.SUSPICIOUS, "is the audio truncated, or the transcript wrong?"
)
TEXT_TOO_SHORT = FindingKind("text too short", Severity.SUSPICIOUS, "are words missing in the text?")
UNUSUAL_LENGTH = FindingKind(
    "unusual length", Severity.SUSPICIOUS, "training drops it, unless the recipe's bounds are moved"
)

FRAME_SECONDS = 0.04  # seconds of an encoder frame, without a recipe
LABELS_PER_FRAME = 2  # CTC labels: training drops what has more, and the decoder learns from the rest
MAX_LETTERS_PER_SECOND = (
    30.0  # letters per second of audio without pauses: the fastest of 6,000 real ones has 28
)
MAX_SPEEDUP = 5.0  # times the median; for scripts of few characters
MAX_SLOWDOWN = 6.0  # times slower than the median; slowly spelled names are 5 times slower
MIN_SPEECH_SECONDS = 3.0  # seconds of audio from which on a text can be too short
MIN_UTTERANCES = 50  # utterances, for a median
MAX_SECONDS, MIN_SECONDS = 30.0, 0.1  # seconds; a recipe's defaults


def check_durations(cases: Sequence[CheckedUtterance], has_recipe: bool = False) -> Iterator[Finding]:
    """Findings on utterances with a text. has_recipe: the recipe reports itself what it drops."""
    written = [case for case in cases if case.utterance.text.strip()]
    if not has_recipe:
        for case in written:
            yield from _bounds(case)
    yield from _rates(written)


def _bounds(case: CheckedUtterance) -> Iterator[Finding]:
    tokens = clean(case.utterance.text)
    needed = len(tokens) + sum(a == b for a, b in itertools.pairwise(tokens))
    frames = int(case.seconds / FRAME_SECONDS)
    fits = needed <= LABELS_PER_FRAME * frames
    if is_train_split(case.split) and not isinstance(case.audio_result, str) and not fits:
        what = (
            f"{case.seconds:.2f} s are {frames} frames of {1000 * FRAME_SECONDS:.0f} ms, CTC needs {needed}"
        )
        yield make_finding(TOO_FEW_FRAMES, case, f"{what}: {quote(tokens)}")
    if not MIN_SECONDS <= case.seconds <= MAX_SECONDS:
        yield make_finding(UNUSUAL_LENGTH, case, f"{case.seconds:.2f} s")


def _rates(cases: Sequence[CheckedUtterance]) -> Iterator[Finding]:
    """Letters per second of audio without its pauses: the speaking rate."""
    audible = [(case, case.stats) for case in cases if case.stats and case.stats.level >= SILENCE_DB]
    if not audible:
        return
    letters = np.array([len("".join(case.utterance.text.split())) for case, _ in audible])
    spoken = np.array([max(stats.speech_seconds, FRAME_SECONDS) for _, stats in audible])
    rates = letters / spoken
    usual = float(np.median(rates)) if len(audible) >= MIN_UTTERANCES else 0.0
    limit = min(MAX_LETTERS_PER_SECOND, MAX_SPEEDUP * usual) if usual else MAX_LETTERS_PER_SECOND
    for (case, _), rate, seconds in zip(audible, rates.tolist(), spoken.tolist(), strict=True):
        what = f"{rate:.1f} letters per second of audio (median {usual:.1f}): {quote(case.utterance.text)}"
        if rate > limit:
            yield make_finding(TEXT_TOO_LONG, case, what)
        elif rate * MAX_SLOWDOWN < usual and seconds > MIN_SPEECH_SECONDS:
            yield make_finding(TEXT_TOO_SHORT, case, what)
