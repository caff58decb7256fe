"""speechocean762 (OpenSLR 101): English read by Mandarin speakers, in Kaldi folders train/ and test/."""

from pathlib import Path

from data_prep import build, kaldi, split
from data_prep.build import DEFAULT_OPTIONS, PrepOptions
from data_prep.entries import require_folder


def prepare(
    source: Path,
    dest: Path,
    options: PrepOptions = DEFAULT_OPTIONS,
    dev_speakers: int = 12,
    dev_share: float = 0.0,
    test_share: float = 0.0,
) -> dict[str, Path]:
    """Manifests of the corpus; dev is `dev_speakers` whole speakers held out of the 125 of train, or a share of it."""
    dest = build.open_dest(dest)
    source = require_folder(source)
    splits = build.build_splits(dest, kaldi.read_entries(source, root=source), options)
    held = split.hold_out_dev(splits, dev_speakers, dev_share, test_share, options.seed)
    return build.write_manifests(dest, held)
