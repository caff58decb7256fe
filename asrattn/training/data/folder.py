"""The folder of a prepared corpus: train.jsonl, or shards in train/, and dev.jsonl. Needs no torch."""

from pathlib import Path

from asrattn.config import JSONValue
from asrattn.data import fingerprint, manifest, shards
from asrattn.data.lazy_manifest import LazyManifest
from asrattn.data.shards import Shards

DEV = "dev.jsonl"


def check(folder: Path) -> None:
    """Raises ManifestError if the training or dev utterances are missing, or the first one is invalid."""
    source = _train(folder)
    if source.is_dir():
        shards.check(source)
    else:
        manifest.check(source)
    manifest.check(folder / DEV)


def open_train(folder: Path) -> tuple[Path, LazyManifest | Shards]:
    """The file or folder of the training utterances, and the utterances. Raises ManifestError."""
    source = _train(folder)
    return source, Shards.open(source) if source.is_dir() else LazyManifest(source)


def fingerprints(folder: Path) -> dict[str, JSONValue]:
    """Fingerprints of train and dev, see `fingerprint_dataset`. Raises ManifestError."""
    sets = {"train": open_train(folder)[1], "dev": manifest.read(folder / DEV)}
    return {name: fingerprint.fingerprint_dataset(utterances) for name, utterances in sets.items()}


def _train(folder: Path) -> Path:
    return folder / "train" if shards.is_shard_folder(folder / "train") else folder / "train.jsonl"
