"""Changes of errors between two systems: fixed and newly broken words, by word, speaker and utterance."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from asrattn.metrics.mapsswe import reference_slots
from asrattn.metrics.result import ScoredUtterance
from asrattn.metrics.significance import System
from asrattn.metrics.wer import split_words, sum_counts


@dataclass(frozen=True)
class WordChange:
    """A reference word: how often only a is wrong (fixed), and how often only b is wrong (broken)."""

    word: str
    times: int
    fixed: float
    broken: float


@dataclass(frozen=True)
class SpeakerChange:
    """Error rates of one speaker."""

    speaker: str
    words: int
    before: float
    after: float


@dataclass(frozen=True)
class UtteranceChange:
    """Errors in one utterance, means over the runs; and the scored utterances of the first runs of a and b."""

    before: float
    after: float
    rows: tuple[ScoredUtterance, ScoredUtterance]


def word_changes(a: System, b: System) -> list[WordChange]:
    """Words that changed, the largest net change first; means over the runs."""
    times: dict[str, int] = defaultdict(int)
    fixed: dict[str, float] = defaultdict(float)
    broken: dict[str, float] = defaultdict(float)
    for word, before, after in zip(_words(a), _wrong(a), _wrong(b), strict=True):
        times[word] += 1
        fixed[word] += max(before - after, 0.0)
        broken[word] += max(after - before, 0.0)
    found = [WordChange(w, n, fixed[w], broken[w]) for w, n in times.items() if fixed[w] or broken[w]]
    return sorted(found, key=lambda c: (-abs(c.fixed - c.broken), -c.fixed - c.broken, c.word))


def speaker_changes(a: System, b: System) -> list[SpeakerChange]:
    """Speakers whose error rate changed, the largest change in errors first; without unknown speakers."""
    before, after = _by_speaker(a), _by_speaker(b)
    found = [
        SpeakerChange(speaker, words, rate, after[speaker][1])
        for speaker, (words, rate) in before.items()
        if rate != after[speaker][1]
    ]
    return sorted(found, key=lambda c: (-c.words * abs(c.after - c.before), c.speaker))


def utterance_changes(a: System, b: System) -> list[UtteranceChange]:
    """Utterances whose number of errors changed, the largest change first."""
    found = [
        UtteranceChange(before / len(a.runs), after / len(b.runs), rows)
        for rows, (_, before, after) in zip(
            zip(a.runs[0], b.runs[0], strict=True), _utterances(a, b), strict=True
        )
    ]
    changed = [change for change in found if change.before != change.after]
    return sorted(changed, key=lambda c: (-abs(c.after - c.before), c.rows[0].id))


def broken_utterances(a: System, b: System) -> list[str]:
    """Ids of utterances that are correct in every run of a and wrong in some run of b."""
    return [i for i, before, after in _utterances(a, b) if not before and after]


def fixed_utterances(a: System, b: System) -> list[str]:
    """Ids of utterances that are wrong in some run of a and correct in every run of b."""
    return [i for i, before, after in _utterances(a, b) if before and not after]


def _utterances(a: System, b: System) -> Iterator[tuple[str, int, int]]:
    for in_a, in_b in zip(zip(*a.runs, strict=True), zip(*b.runs, strict=True), strict=True):
        yield in_a[0].id, sum(r.words.errors for r in in_a), sum(r.words.errors for r in in_b)


def _words(system: System) -> Iterator[str]:
    for row in system.runs[0]:
        yield from split_words(row.reference)


def _wrong(system: System) -> Iterator[float]:
    """For every reference word, the fraction of runs in which it is wrong."""
    for rows in zip(*system.runs, strict=True):
        for runs in zip(*(reference_slots(row.reference, row.hypothesis)[:-1] for row in rows), strict=True):
            yield sum(slot.wrong for slot in runs) / len(runs)


def _by_speaker(system: System) -> dict[str, tuple[int, float]]:
    """Words and error rate of each known speaker, in alphabetical order."""
    rows: Sequence[tuple[str, int]] = [(row.speaker, i) for i, row in enumerate(system.runs[0])]
    places: dict[str, list[int]] = defaultdict(list)
    for speaker, i in rows:
        if speaker:
            places[speaker].append(i)
    counts = {s: sum_counts(run[i].words for run in system.runs for i in places[s]) for s in sorted(places)}
    return {s: (c.words // len(system.runs), c.rate) for s, c in counts.items()}
