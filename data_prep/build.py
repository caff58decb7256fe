"""Entries -> checked utterances -> manifests: every file is opened; unusable ones are dropped with their reason."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from asrattn.audio import AudioInfo
from asrattn.cpu_count import usable_cpus
from asrattn.data import manifest
from asrattn.data.manifest import Utterance
from asrattn.errors import DataError, ManifestError
from asrattn.sharding import UNSHARDED, JobShard
from asrattn.text import characters
from asrattn.text.tokenizer import quote
from data_prep import audio_scan, text_files
from data_prep.entries import SPLITS, CorpusEntry

log = logging.getLogger(__name__)

DROPPED_FILENAME = "dropped.tsv"
MAX_FIELD_LENGTH = 1000  # characters
MAX_OVERSHOOT_SECONDS = (
    0.5  # seconds a segment may end behind its file: rounding in published lists, as Kaldi tolerates it
)

Splits = dict[str, list[Utterance]]


@dataclass(frozen=True)
class PrepOptions:
    """Options of every corpus.

    lower, upper, strip_punctuation   changes to the transcripts, in this order; none: as published
    language   a code such as "tr", whose rules of lower and upper case apply; "": the default ones
    untranscribed   keep audio without transcripts, for pre-training and pseudo-labels
    quick   read only the headers of audio files: quicker, but truncated and NaN audio may pass
    jobs    files opened at the same time
    seed    random seed: held-out speakers, synthetic speech
    job_shard  scan only these audio files; UNSHARDED prepares the corpus
    """

    lower: bool = False
    upper: bool = False
    strip_punctuation: bool = False
    language: str = ""
    untranscribed: bool = False
    quick: bool = False
    jobs: int = usable_cpus()
    seed: int = 0
    job_shard: JobShard = UNSHARDED


DEFAULT_OPTIONS = PrepOptions()


class JobShardDone(Exception):  # noqa: N818 (no error)
    """A job shard of the files was scanned, which ends this run; a later one prepares the corpus."""


class DroppedEntry(NamedTuple):
    """An entry that did not become an utterance."""

    split: str
    id: str
    audio: Path
    reason: str


@contextmanager
def wrap_write_errors(dest: Path) -> Iterator[None]:
    """Turn the system's error in writing below `dest` into one DataError."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{dest}: cannot be written ({error.strerror}); free it or name another DEST"
        ) from None


def open_dest(dest: Path) -> Path:
    """Make the folder, see that it can be written before the long work, and return it free of links.

    Links must go: a path with .. climbs from where a folder really is.
    """
    with wrap_write_errors(dest):
        dest.mkdir(parents=True, exist_ok=True)
        dest = dest.resolve()
        _write_dropped(dest, [])
    return dest


def build_splits(
    dest: Path, entries_by_split: Mapping[str, Sequence[CorpusEntry]], options: PrepOptions
) -> Splits:
    """Open every audio file once, in parallel: utterances in the order of the lists; dropped ones in DEST/dropped.tsv.

    Of several usable entries with one id, the first of its split is kept; of several splits that of test, then dev.
    Raises DataError if nothing can be used, and JobShardDone after scanning one job shard.
    """
    _warn_of_dotted_i(entries_by_split, options)
    files = dict.fromkeys(
        e.audio for entries in entries_by_split.values() for e in entries if not e.drop_reason
    )
    if options.job_shard != UNSHARDED:
        with wrap_write_errors(dest):
            count = audio_scan.scan_job_shard(
                dest, list(files), options.quick, options.jobs, options.job_shard
            )
        raise JobShardDone(
            f"{count} of {len(files)} files opened; after all job shards, run it again without --shard"
        )
    sounds = audio_scan.scan_all(dest, list(files), options.quick, options.jobs)
    outcomes = _outcomes(entries_by_split, sounds, options)
    splits: Splits = {
        name: [o for o in found if isinstance(o, Utterance)] for name, found in outcomes.items()
    }
    dropped = [o for found in outcomes.values() for o in found if isinstance(o, DroppedEntry)]
    with wrap_write_errors(dest):
        _write_dropped(dest, dropped)
    if not any(splits.values()):
        why = f"; {len(dropped)} were dropped, the first because: {dropped[0].reason}" if dropped else ""
        raise DataError(f"no usable utterance{why} (all of them in {dest / DROPPED_FILENAME})")
    return splits


def write_manifests(dest: Path, splits: Splits) -> dict[str, Path]:
    """DEST/<split>.jsonl for every split that holds something.

    A train, dev or test manifest of an earlier preparation that this one does not make is removed: its utterances
    may stand in another split now. Raises DataError where `dest` cannot be written.
    """
    paths = {}
    with wrap_write_errors(dest):
        for name in dict.fromkeys((*SPLITS, *splits)):
            if splits.get(name):
                paths[name] = dest / f"{name}.jsonl"
                manifest.write(paths[name], splits[name])
        for name in SPLITS:
            if name not in paths:
                hint = "" if name == "train" else f"; --{name}-share 0.1 holds out a tenth of train"
                log.warning("no %s.jsonl: nothing is in that split%s", name, hint)
                (dest / f"{name}.jsonl").unlink(missing_ok=True)
    return paths


def clean_transcript(text: str, options: PrepOptions) -> str:
    """The transcript as published, white space made single, then as the options ask."""
    if options.lower:
        text = characters.lower(text, options.language)
    if options.upper:
        text = characters.upper(text, options.language)
    if options.strip_punctuation:
        text = characters.strip_punctuation(text, "P", hyphens=True)
    return " ".join(text.split())


def _warn_of_dotted_i(entries_by_split: Mapping[str, Sequence[CorpusEntry]], options: PrepOptions) -> None:
    """Case of I differs in Turkish and Azerbaijani; only the user knows the language."""
    if not (options.lower or options.upper) or options.language:
        return
    for entries in entries_by_split.values():
        if entry := next((e for e in entries if set("İı") & set(e.text)), None):
            log.warning(
                "%s: I and i change case as in English; is it Turkish or Azerbaijani? then add --language tr",
                quote(entry.text),
            )
            return


def _outcomes(
    entries_by_split: Mapping[str, Sequence[CorpusEntry]],
    sounds: Mapping[Path, AudioInfo | str],
    options: PrepOptions,
) -> dict[str, list[Utterance | DroppedEntry]]:
    """What becomes of each entry, by split, in their order."""
    seen: dict[str, tuple[str, CorpusEntry]] = {}
    outcomes: dict[str, list[Utterance | DroppedEntry]] = {name: [] for name in entries_by_split}
    for name in sorted(entries_by_split, key=_evaluation_first):
        for entry in entries_by_split[name]:
            made = _utterance(entry, sounds, options)
            if isinstance(made, Utterance) and made.id in seen:
                made = f"id {made.id!r} stands twice; {_place(*seen[made.id])} is kept"
            if isinstance(made, Utterance):
                seen[made.id] = name, entry
                outcomes[name].append(made)
            else:
                where = f"{entry.where}: " if entry.where and not made.startswith(entry.where) else ""
                outcomes[name].append(DroppedEntry(name, entry.id, entry.audio, where + made))
    return outcomes


def _evaluation_first(split: str) -> int:
    """Test sets stay as published: what is in two splits is dropped from that which is trained on."""
    return next((i for i, name in enumerate(reversed(SPLITS)) if split.startswith(name)), len(SPLITS))


def _place(split: str, entry: CorpusEntry) -> str:
    return f"{entry.audio} ({entry.where or split})"


def _utterance(
    entry: CorpusEntry, sounds: Mapping[Path, AudioInfo | str], options: PrepOptions
) -> Utterance | str:
    """The utterance, or the reason why there is none."""
    if entry.drop_reason:
        return entry.drop_reason
    sound = sounds[entry.audio]
    if isinstance(sound, str):
        return sound
    text = clean_transcript(entry.text, options)
    if not text and not options.untranscribed:
        return "its transcript is empty"
    if reason := _invalid_characters(entry):
        return reason
    if entry.channel and sound.channels > 1:
        return (
            f"is channel {entry.channel} of the {sound.channels} of {entry.audio.name}; channels are not taken apart: "
            "write each to a file of its own"
        )
    start, end = entry.start or 0.0, sound.seconds if entry.end is None else entry.end
    if not 0 <= start < end:
        return f"its segment from {start} to {end} seconds is empty"
    if end > sound.seconds + MAX_OVERSHOOT_SECONDS or start >= sound.seconds:
        return f"its segment ends at {end} seconds, its file {entry.audio.name} at {sound.seconds:.2f}"
    seconds = round(min(end, sound.seconds) - start, 4)
    try:
        return Utterance(
            " ".join(entry.id.split()),
            str(entry.audio),
            text,
            seconds,
            " ".join(entry.speaker.split()),
            entry.start,
        )
    except ManifestError as error:
        return str(error)


def _invalid_characters(entry: CorpusEntry) -> str:
    """The reason, if id, speaker or transcript hold what no manifest can hold; else ""."""
    for name, value in (("id", entry.id), ("speaker", entry.speaker), ("transcript", entry.text)):
        if "\0" in value:
            return f"its {name} holds a zero byte"
        if not text_files.is_valid(value):
            return f"its {name} is not UTF-8 text; save the list as UTF-8, or name its --encoding"
    return ""


def _shorten(field: str) -> str:
    """A damaged list may have fields of a million characters."""
    return field if len(field) <= MAX_FIELD_LENGTH else field[:MAX_FIELD_LENGTH] + "…"


def _write_dropped(dest: Path, dropped: Iterable[DroppedEntry]) -> None:
    rows = ["split\tid\taudio\treason\n"]
    rows += ["\t".join(_shorten(" ".join(str(field).split())) for field in row) + "\n" for row in dropped]
    (dest / DROPPED_FILENAME).write_text("".join(rows), encoding="utf-8", errors="backslashreplace")
