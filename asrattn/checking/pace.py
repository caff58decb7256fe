"""Does the sound last as long as its text? By letters a second, and by the frames that CTC needs."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from asrattn.checking.finding import Case, Finding, Kind, Severity, of, trained_on
from asrattn.checking.sound import SILENCE
from asrattn.text import clean
from asrattn.text.tokens import quote

FRAMES = Kind("too few frames", Severity.BREAKS, "a cut sound or another one's text; CTC cannot align them")
FAST = Kind("text too long", Severity.SUSPICIOUS, "is the sound cut, or the text another one's?")
SLOW = Kind("text too short", Severity.SUSPICIOUS, "are words missing in the text?")
OUTSIDE = Kind(
    "unusual length", Severity.SUSPICIOUS, "training drops it, unless the recipe's bounds are moved"
)

FRAME = 0.04  # seconds of an encoder frame, if no recipe tells
FASTEST = 30.0  # letters in a second of sound without pauses: the fastest of 6,000 real ones has 28
FASTER = 5.0  # times the median; for scripts of few characters
SLOWER = 6.0  # times slower than the median; slowly spelled names are 5 times slower
SPOKEN = 3.0  # seconds of sound from which on a text can be too short
ENOUGH = 50  # utterances, to say what is usual
LONGEST, SHORTEST = 30.0, 0.1  # seconds; a recipe's defaults


def examine(cases: Sequence[Case], planned: bool = False) -> Iterator[Finding]:
    """Findings on utterances with a text. planned: a recipe says itself what it drops."""
    written = [case for case in cases if case.utterance.text.strip()]
    if not planned:
        for case in written:
            yield from _bounds(case)
    yield from _rates(written)


def _bounds(case: Case) -> Iterator[Finding]:
    tokens = clean(case.utterance.text)
    needed = len(tokens) + sum(a == b for a, b in itertools.pairwise(tokens))
    frames = int(case.seconds / FRAME)
    if trained_on(case.split) and not isinstance(case.heard, str) and needed > frames:
        what = f"{case.seconds:.2f} s are {frames} frames of {1000 * FRAME:.0f} ms, CTC needs {needed}"
        yield of(FRAMES, case, f"{what}: {quote(tokens)}")
    if not SHORTEST <= case.seconds <= LONGEST:
        yield of(OUTSIDE, case, f"{case.seconds:.2f} s")


def _rates(cases: Sequence[Case]) -> Iterator[Finding]:
    """Letters in a second of sound, its pauses left out; so a rate is that of speaking."""
    heard = [(case, case.look) for case in cases if case.look and case.look.level >= SILENCE]
    if not heard:
        return
    letters = np.array([len("".join(case.utterance.text.split())) for case, _ in heard])
    spoken = np.array([max(look.speech, FRAME) for _, look in heard])
    rates = letters / spoken
    usual = float(np.median(rates)) if len(heard) >= ENOUGH else 0.0
    limit = min(FASTEST, FASTER * usual) if usual else FASTEST
    for (case, _), rate, seconds in zip(heard, rates.tolist(), spoken.tolist(), strict=True):
        what = f"{rate:.1f} letters in a second of sound (median {usual:.1f}): {quote(case.utterance.text)}"
        if rate > limit:
            yield of(FAST, case, what)
        elif rate * SLOWER < usual and seconds > SPOKEN:
            yield of(SLOW, case, what)
