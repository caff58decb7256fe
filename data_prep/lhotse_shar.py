"""Lhotse Shar -> manifests of its archives, which stay in place (https://lhotse.readthedocs.io, lhotse.shar)."""

import gzip
import json
import sys
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tqdm import tqdm

from asrattn.data.manifest import Utterance
from asrattn.data.shards import read_tar
from asrattn.errors import DataError, ManifestError
from data_prep.build import wrap_write_errors
from data_prep.entries import require_folder
from data_prep.shards import WrittenShard, init_shard_folder, write_manifest

MAX_CUT_BYTES = 1 << 24  # of a line


def index_shar(source: Path, dest: Path) -> Iterator[WrittenShard]:
    """A manifest for each `cuts.000000.jsonl.gz` and `recording.000000.tar`.

    What is not a cut of one channel with a text is dropped, and reported. Raises DataError if there is no Shar, if a
    file of it is missing or damaged, and if `dest` cannot be written.
    """
    source = require_folder(source)
    cuts = sorted(source.glob("cuts.*.jsonl*"))
    if not cuts:
        raise DataError(f"{source}: holds no cuts.000000.jsonl.gz; name the folder of a Lhotse Shar")
    with wrap_write_errors(dest):
        dest.mkdir(parents=True, exist_ok=True)
        init_shard_folder(dest, {"shar": str(source), "shards": len(cuts)})
    for path in tqdm(cuts, "reading", unit=" shards", file=sys.stderr, disable=None, leave=False):
        number = path.name.split(".")[1]
        archive = source / f"recording.{number}.tar"
        names = _names(archive)
        outcomes = [_utterance(cut, archive, names) for cut in _cuts(path)]
        utterances = [o for o in outcomes if isinstance(o, Utterance)]
        dropped = [o for o in outcomes if not isinstance(o, Utterance)]
        if not utterances:
            raise DataError(
                f"{path}: none of its {len(dropped)} cuts can be used: {dropped[0][1] if dropped else ''}"
            )
        with wrap_write_errors(dest):
            write_manifest(dest / f"shard-{number}", utterances, dropped)
        yield WrittenShard(archive, len(utterances), dropped)


def _names(archive: Path) -> dict[str, str]:
    """The audio in an archive, by the ids of their cuts; only headers are read."""
    try:
        members = (m for _, m in read_tar(archive) if m.isreg() and not m.name.endswith(".json"))
        return {member.name.rpartition(".")[0]: member.name for member in members}
    except (tarfile.TarError, OSError, ValueError) as error:
        raise DataError(f"{archive}: cannot be read ({error}); is the Shar complete?") from None


def _cuts(path: Path) -> Iterator[Any]:
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as lines:
            while line := lines.readline(MAX_CUT_BYTES):
                yield json.loads(line)
    except (OSError, EOFError, ValueError, RecursionError, zlib.error) as error:
        raise DataError(f"{path}: is damaged ({error}); copy it again") from None


def _utterance(cut: Any, archive: Path, names: dict[str, str]) -> Utterance | tuple[str, str]:
    """The utterance; or id and reason."""
    try:
        return _utterance_of(cut, archive, names)
    except (ManifestError, AttributeError, LookupError, TypeError, ValueError) as error:
        id_ = str(cut.get("id", "")) if isinstance(cut, dict) else ""
        return id_, f"is no cut of Lhotse ({error})"


def _utterance_of(cut: dict[str, Any], archive: Path, names: dict[str, str]) -> Utterance | tuple[str, str]:
    id_ = str(cut.get("id", ""))
    if cut.get("type", "MonoCut") != "MonoCut":
        return id_, f"is a {cut['type']}; only cuts of one channel are read"
    if id_ not in names:
        return id_, f"has no audio in {archive.name}"
    supervisions = cut.get("supervisions") or []
    text = " ".join(s["text"] for s in supervisions if s.get("text"))
    if not text.strip():
        return id_, "has no text"
    speaker = str(supervisions[0].get("speaker") or "")
    return Utterance(id_, str(archive / names[id_]), text, float(cut["duration"]), speaker)
