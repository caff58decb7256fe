"""The same thing twice: within a split it distorts, between train and another split it flatters the error rate."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from asrattn.checking.finding import Case, Finding, Kind, Severity, parted, some, trained_on
from asrattn.checking.sound import SILENCE
from asrattn.text import clean

TWINS = Kind("identical audio", Severity.SUSPICIOUS, "keep one of them")
CONTRADICTION = Kind("one audio, two texts", Severity.SUSPICIOUS, "listen: at most one of the texts is right")
LEAK = Kind(
    "audio of train", Severity.SUSPICIOUS, "take it out of train: a test must be of what was not seen"
)
NEAR = Kind("like audio", Severity.SUSPICIOUS, "listen: the same recording, in another coding or level?")
SPEAKERS = Kind("speakers of train", Severity.SUSPICIOUS, "split by speakers, as data_prep does by itself")
IDS = Kind("id in two splits", Severity.SUSPICIOUS, "the same utterance? take it out of one of them")
TEXTS = Kind("texts of train", Severity.NOTE, "right for commands; else the error rate is too good")
MOST_TEXTS = Kind("most texts of train", Severity.SUSPICIOUS, "right for commands; else split by texts")

ALIKE = 0.998  # correlation of outlines: of two recordings of one short command up to 0.99
CLOSE, CLOSE_SHARE = 0.05, 0.01  # seconds by which copies may differ in length: codecs pad
_BLOCK = 1024  # outlines compared at a time


def examine(cases: Sequence[Case]) -> Iterator[Finding]:
    """Findings on sounds, speakers, ids and texts that occur more than once."""
    heard = [case for case in cases if case.look and case.look.level >= SILENCE]
    yield from _identical(heard)
    yield from _alike(heard)
    train, others = parted(cases)
    for split in dict.fromkeys(case.split for case in others):
        yield from _between(train, [case for case in others if case.split == split], split)
    yield from _ids(cases)


def _identical(cases: Sequence[Case]) -> Iterator[Finding]:
    groups: dict[bytes, list[Case]] = defaultdict(list)
    for case in cases:
        assert case.look
        groups[case.look.digest].append(case)
    for first, *others in groups.values():
        for case in others:
            yield _pair(first, case, "the same samples as")


def _pair(first: Case, second: Case, what: str, kind: Kind = TWINS) -> Finding:
    """Two of a kind; of a pair in train and elsewhere the one in train is to go, else the second one."""
    said = [clean(case.utterance.text) for case in (first, second)]
    leave = [second]
    if trained_on(first.split) != trained_on(second.split):
        kind = LEAK if kind is TWINS else kind
        leave = [first if trained_on(first.split) else second]
    elif said[0] != said[1]:
        kind = CONTRADICTION if kind is TWINS else kind
        leave = [first, second]
    texts = "" if said[0] == said[1] else f"; the texts are {said[0]!r:.60} and {said[1]!r:.60}"
    return Finding(kind, second.name, f"{what} {first.name}{texts}", tuple((c.split, c.line) for c in leave))


def _alike(cases: Sequence[Case]) -> Iterator[Finding]:
    """Neighbours in length whose outlines agree, though their samples do not."""
    found = [(i, case.look) for i, case in enumerate(cases) if case.look]
    found.sort(key=lambda each: each[1].seconds)
    if not found:
        return
    seconds = np.array([look.seconds for _, look in found])
    reach = np.searchsorted(seconds, seconds + np.maximum(CLOSE, CLOSE_SHARE * seconds), "right")
    outlines = np.stack([look.outline for _, look in found]).astype(np.float32)
    for at in range(0, len(found), _BLOCK):
        stop = int(reach[min(at + _BLOCK, len(found)) - 1])
        product = outlines[at : at + _BLOCK] @ outlines[at:stop].T
        for a, b in np.argwhere(np.triu(product, 1) > ALIKE).tolist():
            (i, one), (j, two) = found[at + a], found[at + b]
            if at + b < reach[at + a] and one.digest != two.digest:
                what = f"its levels agree to {product[a, b]:.4f} with"
                yield _pair(cases[min(i, j)], cases[max(i, j)], what, NEAR)


def _between(train: Sequence[Case], other: Sequence[Case], split: str) -> Iterator[Finding]:
    """Speakers and texts of train in another split."""
    known = {case.utterance.speaker for case in train} - {""}
    shared: dict[str, int] = defaultdict(int)
    for case in other:
        if case.utterance.speaker in known:
            shared[case.utterance.speaker] += 1
    if shared:
        named = [f"{speaker} ({count})" for speaker, count in shared.items()]
        yield Finding(
            SPEAKERS, split, f"{sum(shared.values())} of {len(other)} utterances: {some(named, 10)}"
        )
    texts = {clean(case.utterance.text) for case in train}
    same = [case for case in other if clean(case.utterance.text) in texts]
    if same:
        kind = MOST_TEXTS if 2 * len(same) > len(other) else TEXTS
        longest = max((clean(case.utterance.text) for case in same), key=len)
        yield Finding(kind, split, f"{len(same)} of {len(other)} utterances; the longest: {longest!r:.80}")


def _ids(cases: Sequence[Case]) -> Iterator[Finding]:
    seen: dict[str, Case] = {}
    for case in cases:
        first = seen.setdefault(case.utterance.id, case)
        if first.split != case.split:
            leave = first if trained_on(first.split) else case
            yield Finding(IDS, case.name, f"is in {first.split} too", ((leave.split, leave.line),))
