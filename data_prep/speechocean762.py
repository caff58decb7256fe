"""speechocean762 (OpenSLR 101): English read by Mandarin speakers, in Kaldi folders train/ and test/."""

from pathlib import Path

from data_prep import build, kaldi, split
from data_prep.build import AS_PUBLISHED, Options
from data_prep.entries import folder


def prepare(
    source: Path, dest: Path, options: Options = AS_PUBLISHED, dev_speakers: int = 12
) -> dict[str, Path]:
    """Manifests of the corpus; dev is `dev_speakers` whole speakers held out of the 125 of train."""
    dest = build.open_dest(dest)
    source = folder(source)
    splits = build.check(dest, kaldi.entries(source, root=source), options)
    return build.write(dest, split.hold_out_speakers(splits, dev_speakers, options.seed))
