"""Audio quality checks, file by file, on the statistics of `audio_stats`."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from asrattn.audio.samples import CANCELLED_NOTE, MIXED_NOTE, OVERSHOOT_NOTE
from asrattn.corpus_check.audio_stats import AudioStats
from asrattn.corpus_check.finding import (
    CheckedUtterance,
    Finding,
    FindingKind,
    Severity,
    format_names,
    make_finding,
)

MISSING = FindingKind("missing audio", Severity.BREAKS, "copy the files, or fix the paths in the manifest")
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
BEYOND = FindingKind(
    "beyond ±1",
    Severity.SUSPICIOUS,
    "divide the samples by the maximum of their integer range, or scale them down",
)
CANCELLED = FindingKind(
    "cancelled channels", Severity.SUSPICIOUS, "take one channel: their mean is nearly silent"
)
ODD_FILE = FindingKind("odd file", Severity.NOTE, "it is read as far as can be; is anything missing?")
OFFSET = FindingKind(
    "DC offset", Severity.SUSPICIOUS, "subtract the mean; the microphone or its card is faulty"
)
LENGTH = FindingKind(
    "wrong length", Severity.SUSPICIOUS, "prepare again: the manifest and the audio disagree"
)
QUIET = FindingKind(
    "quiet", Severity.NOTE, "normal for far microphones; 16 bit leave little resolution there"
)
RATES = FindingKind("several rates", Severity.NOTE, "audio is resampled; if a rate is rare, is it right?")
CHANNELS = FindingKind(
    "several channels", Severity.NOTE, "they are averaged; make a file of each if they hold speakers"
)

SILENCE_DB = -75.0  # dB: the quietest real speech seen (Common Voice) has -66
MIN_DYNAMIC_RANGE_DB = (
    15.0  # between loud and quiet frames: speech in strong noise has 13, in AN4 28; noise has 3
)
MIN_VOICING = 0.45  # correlation: in words cut out of speech 0.6 to 1, in rain 0.3, in engines up to 0.7
MAX_PAUSE_SECONDS, MAX_PAUSE_FRACTION = (
    5.0,
    2 / 3,
)  # seconds of pauses, and which share of the whole they are
MAX_CLIPPED_FRACTION = 0.002  # share of samples at the limit: in loud clean speech 0.0005
MAX_DC_OFFSET = 0.02  # of full scale; in AN4 one recording in a thousand reaches 0.01
LENGTH_TOLERANCE_SECONDS, LENGTH_TOLERANCE_FRACTION = (
    0.1,
    0.01,
)  # seconds by which lengths may differ: manifests and codecs round
QUIET_DB = -50.0  # dB


def check_audio(cases: Sequence[CheckedUtterance]) -> Iterator[Finding]:
    """Findings on each audio file, then on the kinds of files."""
    for case in cases:
        if isinstance(case.audio_result, str):
            missing = not Path(case.utterance.audio).exists()
            yield make_finding(MISSING if missing else UNREADABLE, case, case.audio_result)
        elif case.stats:
            yield from _check_utterance(case, case.stats)
    seen = [(case, case.stats) for case in cases if case.stats]
    yield from _mixed_values(RATES, [(f"{stats.rate} Hz", case) for case, stats in seen])
    if any(stats.channels > 1 for _, stats in seen):
        yield from _mixed_values(
            CHANNELS, [(_plural(stats.channels), case) for case, stats in seen], fewest=1
        )


def _check_utterance(case: CheckedUtterance, stats: AudioStats) -> Iterator[Finding]:
    beyond = False
    for note in stats.notes:
        if note.startswith(OVERSHOOT_NOTE):
            beyond = True
            yield make_finding(BEYOND, case, note)
        elif note == CANCELLED_NOTE:
            yield make_finding(
                CANCELLED, case, f"the mean of {stats.channels} channels has {stats.level:.0f} dB"
            )
        elif note != MIXED_NOTE:  # of all files together, below
            yield make_finding(ODD_FILE, case, note)
    if stats.level < SILENCE_DB:
        yield make_finding(SILENT, case, f"{stats.level:.0f} dB: no signal in {stats.seconds:.1f} s")
        return
    if stats.dynamic_range < MIN_DYNAMIC_RANGE_DB and stats.voicing < MIN_VOICING:
        what = f"loud and quiet parts differ by {stats.dynamic_range:.0f} dB, and no part has the pitch of a voice"
        yield make_finding(NOISE, case, what)
    pauses = stats.seconds - stats.speech_seconds
    if pauses > max(MAX_PAUSE_SECONDS, MAX_PAUSE_FRACTION * stats.seconds):
        yield make_finding(PAUSES, case, f"{stats.speech_seconds:.1f} s of speech in {stats.seconds:.1f} s")
    if stats.clipped_fraction > MAX_CLIPPED_FRACTION and not beyond:
        yield make_finding(
            CLIPPED, case, f"{100 * stats.clipped_fraction:.1f} % of the samples are at the limit"
        )
    if abs(stats.dc_offset) > MAX_DC_OFFSET:
        yield make_finding(OFFSET, case, f"the mean is {stats.dc_offset:+.3f} of full scale")
    if stats.level < QUIET_DB:
        yield make_finding(QUIET, case, f"{stats.level:.0f} dB")
    promised = case.utterance.seconds
    if abs(promised - stats.seconds) > max(
        LENGTH_TOLERANCE_SECONDS, LENGTH_TOLERANCE_FRACTION * stats.seconds
    ):
        yield make_finding(LENGTH, case, f"{stats.seconds:.2f} s, in the manifest {promised:.2f} s")


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
