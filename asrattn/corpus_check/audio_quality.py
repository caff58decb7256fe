"""Is the sound well? One file after the other; what is judged was measured by `looks`."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from asrattn.corpus_check.audio_stats import AudioStats
from asrattn.corpus_check.finding import (
    CheckedUtterance,
    Finding,
    FindingKind,
    Severity,
    format_names,
    make_finding,
)

MISSING = FindingKind("missing audio", Severity.BREAKS, "copy the files, or mend the paths in the manifest")
UNREADABLE = FindingKind(
    "unreadable audio", Severity.BREAKS, "copy or convert the files again, or leave them out"
)
SILENT = FindingKind(
    "silence", Severity.SUSPICIOUS, "record again or leave out: a model learns to make words up"
)
NOISE = FindingKind("noise only", Severity.SUSPICIOUS, "listen: is there speech in it at all?")
PAUSES = FindingKind(
    "mostly pauses", Severity.SUSPICIOUS, "cut the pauses off, or see whether words are missing"
)
CLIPPED = FindingKind("clipping", Severity.SUSPICIOUS, "record at a lower level; a few such files do no harm")
OFFSET = FindingKind(
    "DC offset", Severity.SUSPICIOUS, "subtract the mean; the microphone or its card is faulty"
)
LENGTH = FindingKind(
    "wrong length", Severity.SUSPICIOUS, "prepare again: the manifest and the sound disagree"
)
QUIET = FindingKind(
    "quiet", Severity.NOTE, "normal for far microphones; 16 bit leave little resolution there"
)
RATES = FindingKind("several rates", Severity.NOTE, "sound is resampled; where a rate is rare, is it right?")
CHANNELS = FindingKind(
    "several channels", Severity.NOTE, "they are averaged; pick one first if they hold speakers"
)

SILENCE_DB = -75.0  # dB: the quietest real speech seen (Common Voice) has -66
MIN_DYNAMIC_RANGE_DB = (
    15.0  # between loud and quiet frames: speech in strong noise has 13, in AN4 28; noise has 3
)
MAX_PAUSE_SECONDS, MAX_PAUSE_FRACTION = (
    5.0,
    2 / 3,
)  # seconds without sound, and which share of the whole they are
MAX_CLIPPED_FRACTION = 0.002  # share of samples at the limit: in loud clean speech 0.0005
MAX_DC_OFFSET = 0.02  # of full scale; in AN4 one recording in a thousand reaches 0.01
LENGTH_TOLERANCE_SECONDS, LENGTH_TOLERANCE_FRACTION = (
    0.1,
    0.01,
)  # seconds by which lengths may differ: manifests and codecs round
QUIET_DB = -50.0  # dB


def check_audio(cases: Sequence[CheckedUtterance]) -> Iterator[Finding]:
    """Findings on each sound by itself, then on what kinds of files there are."""
    for case in cases:
        if isinstance(case.audio_result, str):
            missing = not Path(case.utterance.audio).exists()
            yield make_finding(MISSING if missing else UNREADABLE, case, case.audio_result)
        elif case.stats:
            yield from _check_utterance(case, case.stats)
    seen = [(case, case.stats) for case in cases if case.stats]
    yield from _mixed_values(RATES, [(f"{look.rate} Hz", case) for case, look in seen])
    if any(look.channels > 1 for _, look in seen):
        yield from _mixed_values(CHANNELS, [(_plural(look.channels), case) for case, look in seen], fewest=1)


def _check_utterance(case: CheckedUtterance, look: AudioStats) -> Iterator[Finding]:
    if look.level < SILENCE_DB:
        yield make_finding(SILENT, case, f"{look.level:.0f} dB: nothing is heard in {look.seconds:.1f} s")
        return
    if look.dynamic_range < MIN_DYNAMIC_RANGE_DB:
        yield make_finding(NOISE, case, f"loud and quiet parts differ by {look.dynamic_range:.0f} dB")
    pauses = look.seconds - look.speech_seconds
    if pauses > max(MAX_PAUSE_SECONDS, MAX_PAUSE_FRACTION * look.seconds):
        yield make_finding(PAUSES, case, f"{look.speech_seconds:.1f} s of sound in {look.seconds:.1f} s")
    if look.clipped_fraction > MAX_CLIPPED_FRACTION:
        yield make_finding(
            CLIPPED, case, f"{100 * look.clipped_fraction:.1f} % of the samples are at the limit"
        )
    if abs(look.dc_offset) > MAX_DC_OFFSET:
        yield make_finding(OFFSET, case, f"the mean is {look.dc_offset:+.3f} of full scale")
    if look.level < QUIET_DB:
        yield make_finding(QUIET, case, f"{look.level:.0f} dB")
    promised = case.utterance.seconds
    if abs(promised - look.seconds) > max(LENGTH_TOLERANCE_SECONDS, LENGTH_TOLERANCE_FRACTION * look.seconds):
        yield make_finding(LENGTH, case, f"{look.seconds:.2f} s, in the manifest {promised:.2f} s")


def _mixed_values(
    kind: FindingKind, valued: Sequence[tuple[str, CheckedUtterance]], fewest: int = 2
) -> Iterator[Finding]:
    """One finding for what is not the same everywhere."""
    groups: dict[str, list[str]] = defaultdict(list)
    for value, case in valued:
        groups[value].append(case.name)
    if len(groups) >= fewest:
        ordered = sorted(groups.items(), key=lambda group: -len(group[1]))
        parts = [f"{value}: {len(names)} ({format_names(names, 2)})" for value, names in ordered]
        yield Finding(kind, "all", "; ".join(parts))


def _plural(channels: int) -> str:
    return "1 channel" if channels == 1 else f"{channels} channels"
