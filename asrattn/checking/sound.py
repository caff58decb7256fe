"""Is the sound well? One file after the other; what is judged was measured by `looks`."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from asrattn.checking.finding import Case, Finding, Kind, Severity, of, some
from asrattn.checking.looks import Look

MISSING = Kind("missing audio", Severity.BREAKS, "copy the files, or mend the paths in the manifest")
UNREADABLE = Kind("unreadable audio", Severity.BREAKS, "copy or convert the files again, or leave them out")
SILENT = Kind("silence", Severity.SUSPICIOUS, "record again or leave out: a model learns to make words up")
NOISE = Kind("noise only", Severity.SUSPICIOUS, "listen: is there speech in it at all?")
PAUSES = Kind("mostly pauses", Severity.SUSPICIOUS, "cut the pauses off, or see whether words are missing")
CLIPPED = Kind("clipping", Severity.SUSPICIOUS, "record at a lower level; a few such files do no harm")
OFFSET = Kind("DC offset", Severity.SUSPICIOUS, "subtract the mean; the microphone or its card is faulty")
LENGTH = Kind("wrong length", Severity.SUSPICIOUS, "prepare again: the manifest and the sound disagree")
QUIET = Kind("quiet", Severity.NOTE, "normal for far microphones; 16 bit leave little resolution there")
RATES = Kind("several rates", Severity.NOTE, "sound is resampled; where a rate is rare, is it right?")
CHANNELS = Kind("several channels", Severity.NOTE, "they are averaged; pick one first if they hold speakers")

SILENCE = -75.0  # dB: the quietest real speech seen (Common Voice) has -66
DYNAMICS = 15.0  # dB between loud and quiet frames: real speech in strong noise has 13 and more, in AN4 28; noise has 3
PAUSE, PAUSES_SHARE = 5.0, 2 / 3  # seconds without sound, and which share of the whole they are
TOP = 0.002  # share of samples at the limit: in loud clean speech 0.0005
BIAS = 0.02  # of full scale; in AN4 one recording in a thousand reaches 0.01
SLACK, SLACK_SHARE = 0.1, 0.01  # seconds by which lengths may differ: manifests and codecs round
LOW = -50.0  # dB


def examine(cases: Sequence[Case]) -> Iterator[Finding]:
    """Findings on each sound by itself, then on what kinds of files there are."""
    for case in cases:
        if isinstance(case.heard, str):
            missing = not Path(case.utterance.audio).exists()
            yield of(MISSING if missing else UNREADABLE, case, case.heard)
        elif case.look:
            yield from _one(case, case.look)
    seen = [(case, case.look) for case in cases if case.look]
    yield from _several(RATES, [(f"{look.rate} Hz", case) for case, look in seen])
    if any(look.channels > 1 for _, look in seen):
        yield from _several(CHANNELS, [(_plural(look.channels), case) for case, look in seen], fewest=1)


def _one(case: Case, look: Look) -> Iterator[Finding]:
    if look.level < SILENCE:
        yield of(SILENT, case, f"{look.level:.0f} dB: nothing is heard in {look.seconds:.1f} s")
        return
    if look.dynamics < DYNAMICS:
        yield of(NOISE, case, f"loud and quiet parts differ by {look.dynamics:.0f} dB")
    pauses = look.seconds - look.speech
    if pauses > max(PAUSE, PAUSES_SHARE * look.seconds):
        yield of(PAUSES, case, f"{look.speech:.1f} s of sound in {look.seconds:.1f} s")
    if look.clipped > TOP:
        yield of(CLIPPED, case, f"{100 * look.clipped:.1f} % of the samples are at the limit")
    if abs(look.offset) > BIAS:
        yield of(OFFSET, case, f"the mean is {look.offset:+.3f} of full scale")
    if look.level < LOW:
        yield of(QUIET, case, f"{look.level:.0f} dB")
    promised = case.utterance.seconds
    if abs(promised - look.seconds) > max(SLACK, SLACK_SHARE * look.seconds):
        yield of(LENGTH, case, f"{look.seconds:.2f} s, in the manifest {promised:.2f} s")


def _several(kind: Kind, valued: Sequence[tuple[str, Case]], fewest: int = 2) -> Iterator[Finding]:
    """One finding for what is not the same everywhere."""
    groups: dict[str, list[str]] = defaultdict(list)
    for value, case in valued:
        groups[value].append(case.name)
    if len(groups) >= fewest:
        ordered = sorted(groups.items(), key=lambda group: -len(group[1]))
        parts = [f"{value}: {len(names)} ({some(names, 2)})" for value, names in ordered]
        yield Finding(kind, "all", "; ".join(parts))


def _plural(channels: int) -> str:
    return "1 channel" if channels == 1 else f"{channels} channels"
