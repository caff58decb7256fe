"""Fingerprint of a data set: a hash that is cheap to compute for ten million utterances."""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from asrattn.config import JSONValue
from asrattn.data import shards
from asrattn.data.lazy_manifest import LazyManifest
from asrattn.data.manifest import Utterance
from asrattn.data.shards import Shards
from asrattn.errors import ManifestError

MAX_SAMPLED_UTTERANCES = 10_000  # utterances of which more than the length is hashed
_END = 4096  # bytes at either end of an audio file
_DIGITS = 16
_THREADS = 8  # disks and networks answer several questions at once


def fingerprint_dataset(utterances: Sequence[Utterance] | Shards) -> dict[str, JSONValue]:
    """Number of utterances, hours, and the fingerprint.

    Covered are, in this order: the number and the length of all utterances; of at most SAMPLE of them, evenly spread,
    the id, the text and the start; and of the audio files of these the size and the first and last 4 KiB (in
    shards: those of the archive). Where the files lie plays no part. A missing file and a bad line count as such.
    """
    seconds = _seconds(utterances)
    found = hashlib.sha256(seconds.astype("<f4").tobytes())
    numbers = np.linspace(0, len(seconds) - 1, min(len(seconds), MAX_SAMPLED_UTTERANCES)).astype(int).tolist()
    sample = list(_sample(utterances, numbers))
    files = dict.fromkeys(shards.containing_file(u.audio) for u in sample if u)
    with ThreadPoolExecutor(_THREADS) as pool:
        ends = dict(zip(files, pool.map(_ends, files), strict=True))
    for u in sample:
        found.update(json.dumps([u.id, u.text, u.start] if u else None).encode())
        found.update(ends[shards.containing_file(u.audio)] if u else b"")
    hours = round(float(seconds.sum(dtype=float)) / 3600, 3)
    return {"utterances": len(seconds), "hours": hours, "fingerprint": found.hexdigest()[:_DIGITS]}


def hash_file(path: Path) -> str:
    """Of all bytes of a file. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:_DIGITS]


def _seconds(utterances: Sequence[Utterance] | Shards) -> "np.ndarray[tuple[int], np.dtype[np.float32]]":
    """(n,) without reading what is large."""
    if isinstance(utterances, LazyManifest | Shards):
        return np.asarray(utterances.seconds)
    return np.array([u.seconds for u in utterances], np.float32)


def _sample(utterances: Sequence[Utterance] | Shards, numbers: Sequence[int]) -> Iterator[Utterance | None]:
    for number in numbers:
        try:
            yield utterances[number]
        except ManifestError:  # reported when training reads it
            yield None


def _ends(path: Path) -> bytes:
    """A hash of size, first and last bytes; of nothing where there is no such file."""
    found = hashlib.sha256()
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            found.update(str(size).encode() + file.read(_END))
            file.seek(max(0, size - _END))
            found.update(file.read(_END))
    except OSError:
        return b"absent"
    return found.digest()
