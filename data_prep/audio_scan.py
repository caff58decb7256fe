"""Scan of audio files: format, rate and length of each, in parallel, also as job shards on several machines.

A job shard writes its results to DEST/opened-2-of-8.jsonl. Later runs open only files that no job shard has
opened, or that have changed since.
"""

import json
import logging
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from asrattn import audio
from asrattn.audio import AudioInfo
from asrattn.data import manifest
from asrattn.errors import AudioError
from asrattn.sharding import JobShard

log = logging.getLogger(__name__)

BLOCK_SECONDS = 600.0  # seconds decoded at once: hours in one file must not fill the memory
AudioInfoOrError = AudioInfo | str  # what a file holds, or why it cannot be used


class Scan(NamedTuple):
    """What a file holds, or why it cannot be used; and what is odd about it, a sentence each."""

    found: AudioInfoOrError
    notes: tuple[str, ...] = ()


def scan_all(dest: Path, files: Sequence[Path], quick: bool, jobs: int) -> dict[Path, AudioInfoOrError]:
    """The format of each file; what is odd about them is logged. Raises ManifestError if the list of a job shard is
    damaged."""
    known = dict(_load_scans(dest, quick))
    scans = known | _open_all([path for path in files if path not in known], quick, jobs)
    _log_notes({path: scans[path].notes for path in files})
    return {path: scans[path].found for path in files}


def scan_job_shard(dest: Path, files: Sequence[Path], quick: bool, jobs: int, job_shard: JobShard) -> int:
    """Scan one job shard of the files and write the results atomically; the number of files."""
    scans = _open_all(job_shard.select(files), quick, jobs)
    path = dest / f"opened-{job_shard.name}.jsonl"
    draft = path.with_name(path.name + ".part")
    with draft.open("w", encoding="utf-8", errors="backslashreplace") as out:
        for sound, (found, notes) in scans.items():
            plain = {"reason": found} if isinstance(found, str) else found._asdict()
            state = _state(sound)
            if state is not None:  # what is not there may come
                line = {"audio": str(sound), "state": state, "quick": quick, "notes": notes, **plain}
                out.write(json.dumps(line, ensure_ascii=False) + "\n")
    draft.replace(path)
    return len(scans)


def _log_notes(notes: Mapping[Path, tuple[str, ...]]) -> None:
    """A line for each kind of oddity: how many files have it, and the first of them."""
    kinds: dict[str, list[tuple[Path, str]]] = {}
    for path, each in notes.items():
        for note in each:
            kinds.setdefault(note.partition(" (")[0], []).append((path, note))
    for found in kinds.values():
        path, note = found[0]
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        log.warning("%s%s: %s", path, more, note)


def _load_scans(dest: Path, quick: bool) -> Iterator[tuple[Path, Scan]]:
    for path in sorted(dest.glob("opened-*-of-*.jsonl")):
        for _, line in manifest.read_json_lines(
            path, "list of opened files", "file", "run the job shard again"
        ):
            sound = Path(line.get("audio", ""))
            if line.get("quick") in (False, quick) and line.get("state") == _state(sound):
                yield sound, Scan(_found(line), tuple(line.get("notes", ())))


def _found(line: dict[str, Any]) -> AudioInfoOrError:
    if "reason" in line:
        return str(line["reason"])
    return AudioInfo(int(line["rate"]), int(line["channels"]), float(line["seconds"]))


def _state(path: Path) -> list[int] | None:
    """What changes when a file does."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return [found.st_size, found.st_mtime_ns]


def _open_all(files: Sequence[Path], quick: bool, jobs: int) -> dict[Path, Scan]:
    """Threads: decoding happens outside of Python's lock."""
    with ThreadPoolExecutor(max(1, jobs)) as pool:
        sounds = pool.map(partial(_open, quick=quick), files)
        bar = tqdm(sounds, "opening", len(files), unit=" files", file=sys.stderr, disable=None, leave=False)
        return dict(zip(files, bar, strict=True))


def _open(path: Path, quick: bool) -> Scan:
    try:
        with audio.open_sound(path) as sound:
            blocks = 0 if quick else math.ceil(sound.seconds / BLOCK_SECONDS)
            for at in range(blocks):
                sound.read(sound.rate, at * sound.seconds / blocks, sound.seconds / blocks)
            return Scan(AudioInfo(sound.rate, sound.channels, sound.seconds), sound.notes)
    except AudioError as error:
        return Scan(str(error))
