"""Duplicates: audio, speakers, ids and texts that occur twice, within a split or between train and another split."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from asrattn.corpus_check.audio_quality import SILENCE_DB
from asrattn.corpus_check.finding import (
    CheckedUtterance,
    Finding,
    FindingKind,
    Severity,
    format_names,
    is_train_split,
    partition_train,
)
from asrattn.text import clean

IDENTICAL_AUDIO = FindingKind("identical audio", Severity.SUSPICIOUS, "keep one of them")
CONFLICTING_TEXTS = FindingKind(
    "one audio, two texts", Severity.SUSPICIOUS, "listen: at most one of the texts is right"
)
TRAIN_AUDIO = FindingKind(
    "audio of train", Severity.SUSPICIOUS, "take it out of train: a test must be of what was not seen"
)
SIMILAR_AUDIO = FindingKind(
    "like audio", Severity.SUSPICIOUS, "listen: the same recording, with another encoding or level?"
)
TRAIN_SPEAKERS = FindingKind(
    "speakers of train", Severity.SUSPICIOUS, "split by speakers, as data_prep does by itself"
)
FEW_SPEAKERS = FindingKind(
    "few speakers",
    Severity.NOTE,
    "the error rate is that of these voices; other voices need other recordings",
)
DUPLICATE_ID_ACROSS_SPLITS = FindingKind(
    "id in two splits", Severity.SUSPICIOUS, "the same utterance? take it out of one of them"
)
TRAIN_TEXTS = FindingKind(
    "texts of train", Severity.NOTE, "right for commands; else the error rate is too good"
)
MOST_TRAIN_TEXTS = FindingKind(
    "most texts of train", Severity.SUSPICIOUS, "right for commands; else split by texts"
)

MIN_ENVELOPE_CORRELATION = 0.998  # correlation of outlines: of two recordings of one short command up to 0.99
MIN_TEXT_REPEATS = 5  # utterances for each text of train, on average, from which on it is a set of commands
LENGTH_TOLERANCE_SECONDS, LENGTH_TOLERANCE_FRACTION = (
    0.05,
    0.01,
)  # seconds by which copies may differ in length: codecs pad
_BLOCK = 1024  # outlines compared at a time


def check_splits(cases: Sequence[CheckedUtterance]) -> Iterator[Finding]:
    """Findings on audio, speakers, ids and texts that occur more than once."""
    audible = [case for case in cases if case.stats and case.stats.level >= SILENCE_DB]
    yield from _identical(audible)
    yield from _similar(audible)
    train, others = partition_train(cases)
    names = list(dict.fromkeys(case.split for case in others))
    few_speakers = len({case.utterance.speaker for case in cases} - {""}) <= len(names)
    for split in names:
        own = [case for case in others if case.split == split]
        yield from _shared_speakers(train, own, split, FEW_SPEAKERS if few_speakers else TRAIN_SPEAKERS)
        yield from _shared_texts(train, own, split)
    yield from _ids(cases)


def _identical(cases: Sequence[CheckedUtterance]) -> Iterator[Finding]:
    groups: dict[bytes, list[CheckedUtterance]] = defaultdict(list)
    for case in cases:
        assert case.stats
        groups[case.stats.digest].append(case)
    for first, *others in groups.values():
        for case in others:
            yield _pair(first, case, "the same samples as")


def _pair(
    first: CheckedUtterance, second: CheckedUtterance, what: str, kind: FindingKind = IDENTICAL_AUDIO
) -> Finding:
    """Two of a kind; of a pair in train and elsewhere the one in train is to go, else the second one."""
    texts = [clean(case.utterance.text) for case in (first, second)]
    leave = [second]
    if is_train_split(first.split) != is_train_split(second.split):
        kind = TRAIN_AUDIO if kind is IDENTICAL_AUDIO else kind
        leave = [first if is_train_split(first.split) else second]
    elif texts[0] != texts[1]:
        kind = CONFLICTING_TEXTS if kind is IDENTICAL_AUDIO else kind
        leave = [first, second]
    note = "" if texts[0] == texts[1] else f"; the texts are {texts[0]!r:.60} and {texts[1]!r:.60}"
    return Finding(kind, second.name, f"{what} {first.name}{note}", tuple((c.split, c.line) for c in leave))


def _similar(cases: Sequence[CheckedUtterance]) -> Iterator[Finding]:
    """Neighbours in length whose outlines agree, though their samples do not."""
    found = [(i, case.stats) for i, case in enumerate(cases) if case.stats]
    found.sort(key=lambda each: each[1].seconds)
    if not found:
        return
    seconds = np.array([stats.seconds for _, stats in found])
    reach = np.searchsorted(
        seconds, seconds + np.maximum(LENGTH_TOLERANCE_SECONDS, LENGTH_TOLERANCE_FRACTION * seconds), "right"
    )
    outlines = np.stack([stats.envelope for _, stats in found]).astype(np.float32)
    for at in range(0, len(found), _BLOCK):
        stop = int(reach[min(at + _BLOCK, len(found)) - 1])
        product = outlines[at : at + _BLOCK] @ outlines[at:stop].T
        for a, b in np.argwhere(np.triu(product, 1) > MIN_ENVELOPE_CORRELATION).tolist():
            (i, one), (j, two) = found[at + a], found[at + b]
            if at + b < reach[at + a] and one.digest != two.digest:
                what = f"its levels agree to {product[a, b]:.4f} with"
                yield _pair(cases[min(i, j)], cases[max(i, j)], what, SIMILAR_AUDIO)


def _shared_speakers(
    train: Sequence[CheckedUtterance], other: Sequence[CheckedUtterance], split: str, kind: FindingKind
) -> Iterator[Finding]:
    """Speakers of train in another split; unavoidable if there are fewer speakers than splits."""
    known = {case.utterance.speaker for case in train} - {""}
    shared = Counter(case.utterance.speaker for case in other if case.utterance.speaker in known)
    if shared:
        named = [f"{speaker} ({count})" for speaker, count in shared.items()]
        what = f"{shared.total()} of {len(other)} utterances are of speakers of train"
        yield Finding(kind, split, f"{what}: {format_names(named, 10)}")


def _shared_texts(
    train: Sequence[CheckedUtterance], other: Sequence[CheckedUtterance], split: str
) -> Iterator[Finding]:
    """Texts of train in another split; in a set of commands all of them are."""
    texts = {clean(case.utterance.text) for case in train}
    same = [case for case in other if clean(case.utterance.text) in texts]
    if same:
        commands = len(train) >= MIN_TEXT_REPEATS * len(texts)
        kind = MOST_TRAIN_TEXTS if 2 * len(same) > len(other) and not commands else TRAIN_TEXTS
        longest = max((clean(case.utterance.text) for case in same), key=len)
        yield Finding(kind, split, f"{len(same)} of {len(other)} utterances; the longest: {longest!r:.80}")


def _ids(cases: Sequence[CheckedUtterance]) -> Iterator[Finding]:
    seen: dict[str, CheckedUtterance] = {}
    for case in cases:
        first = seen.setdefault(case.utterance.id, case)
        if first.split != case.split:
            leave = first if is_train_split(first.split) else case
            yield Finding(
                DUPLICATE_ID_ACROSS_SPLITS,
                case.name,
                f"is in {first.split} too",
                ((leave.split, leave.line),),
            )
