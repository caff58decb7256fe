"""A manifest and its audio files -> shards: archives of flac, shuffled, each with a manifest."""

import hashlib
import io
import json
import sys
import tarfile
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from asrattn import audio
from asrattn.data import manifest
from asrattn.data.lazy_manifest import LazyManifest
from asrattn.data.manifest import Utterance
from asrattn.data.shards import INFO_FILENAME
from asrattn.errors import AudioError, DataError, ManifestError
from asrattn.sharding import UNSHARDED, JobShard
from data_prep.build import DROPPED_FILENAME, wrap_write_errors
from data_prep.summary import MAX_SHOWN_DROPPED


@dataclass(frozen=True)
class ShardPlan:
    """What a folder of shards is made from and how, as shards.json holds it: other shards are not added to them."""

    manifest: str  # a digest of its bytes
    hours: float
    rate: int | None
    seed: int
    shards: int


class WrittenShard(NamedTuple):
    """A shard: how many utterances it holds, and those left out, with the reason."""

    archive: Path
    utterances: int
    dropped: list[tuple[str, str]]


def write_shards(
    path: Path,
    dest: Path,
    hours: float = 0.5,
    rate: int | None = None,
    seed: int = 0,
    jobs: int = 1,
    job_shard: JobShard = UNSHARDED,
) -> Iterator[WrittenShard]:
    """Write shards of so many hours, or those of one job shard, each atomically; existing ones are kept.

    rate   in Hz; None: each file at its own
    Segments are cut out of their files. What cannot be read is dropped, and reported. Raises ManifestError for a bad
    manifest; DataError where `dest` holds other shards or cannot be written, and where a whole shard is unreadable.
    """
    source = LazyManifest(path)
    order = np.random.default_rng(seed).permutation(len(source))
    shard_of = (np.cumsum(source.seconds[order], dtype=np.float64) - 1e-6) // (3600 * hours)
    _, starts = np.unique(shard_of, return_index=True)
    pieces = np.split(order, starts[1:])
    with wrap_write_errors(dest):
        dest.mkdir(parents=True, exist_ok=True)
        init_shard_folder(dest, asdict(ShardPlan(_digest(path), hours, rate, seed, len(pieces))))
    stems = job_shard.select([dest.resolve() / f"shard-{number:05}" for number in range(len(pieces))])
    todo = [
        (stem, piece)
        for stem, piece in zip(stems, job_shard.select(pieces), strict=True)
        if not _manifest(stem).exists()
    ]
    bar = tqdm(
        total=sum(len(piece) for _, piece in todo),
        desc="writing",
        unit=" files",
        file=sys.stderr,
        disable=None,
        leave=False,
    )
    with bar, ThreadPoolExecutor(max(1, jobs)) as pool:  # threads: coding happens outside of Python's lock
        yield from pool.map(lambda job: _write(job[0], job[1], source, rate, bar), todo)


def format_shard_summary(made: Iterator[WrittenShard], dest: Path) -> Iterator[str]:
    """What was made, in a few lines."""
    shards = list(made)
    dropped = [each for shard in shards for each in shard.dropped]
    yield f"{len(shards)} shards written, {sum(s.utterances for s in shards)} utterances  {dest}"
    yield f"dropped  {len(dropped)}" + (f"  reasons in {dest}/*.{DROPPED_FILENAME}" if dropped else "")
    yield from (f"  {id_}: {reason}" for id_, reason in dropped[:MAX_SHOWN_DROPPED])
    if len(dropped) > MAX_SHOWN_DROPPED:
        yield f"  … and {len(dropped) - MAX_SHOWN_DROPPED} more"


def init_shard_folder(dest: Path, plan: Mapping[str, object]) -> None:
    """Say in shards.json what is to be made. Raises DataError where something else was made already."""
    about = dest / INFO_FILENAME
    text = json.dumps(plan, indent=2) + "\n"
    if about.is_file():
        if about.read_text(encoding="utf-8") != text:
            raise DataError(
                f"{dest}: holds shards of another manifest or with other settings ({INFO_FILENAME}); name another DEST"
            )
    elif any(dest.glob("*.jsonl")):
        raise DataError(f"{dest}: holds manifests that are no shards; name another DEST")
    else:
        draft = about.with_name(f"{INFO_FILENAME}.{uuid.uuid4().hex}.part")  # several jobs may begin at once
        draft.write_text(text, encoding="utf-8")
        draft.replace(about)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def _write(
    stem: Path, piece: NDArray[np.int64], source: LazyManifest, rate: int | None, bar: tqdm
) -> WrittenShard:
    """The archive first: where there is a manifest, the shard is whole."""
    archive, utterances, dropped = stem.with_suffix(".tar"), [], []
    with wrap_write_errors(stem.parent):
        draft = archive.with_name(archive.name + ".part")
        with tarfile.open(draft, "w") as tar:
            for i, number in enumerate(piece.tolist()):
                made = _encode_utterance(source, number, archive / f"{i:06}.flac", rate)
                if isinstance(made, tuple):
                    utterance, data = made
                    member = tarfile.TarInfo(f"{i:06}.flac")
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))
                    utterances.append(utterance)
                else:
                    dropped.append((f"line {number + 1}", made))
                bar.update()
        if not utterances:
            raise DataError(f"{archive}: none of its {len(dropped)} utterances can be read: {dropped[0][1]}")
        draft.replace(archive)
        write_manifest(stem, utterances, dropped)
    return WrittenShard(archive, len(utterances), dropped)


def write_manifest(stem: Path, utterances: list[Utterance], dropped: list[tuple[str, str]]) -> None:
    """What a shard holds, and beside it what it does not."""
    if dropped:
        rows = [
            "utterance\treason\n",
            *("\t".join(" ".join(f.split()) for f in row) + "\n" for row in dropped),
        ]
        stem.with_suffix("." + DROPPED_FILENAME).write_text("".join(rows), encoding="utf-8")
    manifest.write(_manifest(stem), utterances)


def _manifest(stem: Path) -> Path:
    return stem.with_suffix(".jsonl")


def _encode_utterance(
    source: LazyManifest, number: int, place: Path, rate: int | None
) -> tuple[Utterance, bytes] | str:
    """The utterance as it is in the shard, and its audio; or why it cannot be used."""
    try:
        utterance = source[number]
        path = Path(utterance.audio)
        seconds = None if utterance.start is None else utterance.seconds
        with audio.open_sound(path) as sound:
            at = rate or sound.rate
            wave = sound.read(at, utterance.start, seconds)
            if sound.stats.overshoots:  # a shard holds ±1: they would be clipped
                return f"{path}: {'; '.join(sound.stats.notes())}"
        data = bytes(audio.encode(place, wave, at))
    except (AudioError, ManifestError) as error:
        return str(error)
    return replace(utterance, audio=str(place), seconds=round(len(wave) / at, 4), start=None), data
