"""What was prepared, in a few lines, read back from what was written."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

from asrattn import manifest
from data_prep.build import DROPPED

NAMED = 5  # dropped entries that are shown one by one


def lines(paths: Mapping[str, Path], dest: Path) -> Iterator[str]:
    """A line for each split, then how many were dropped, and the first of them with their reasons."""
    width = max(len(name) for name in (*paths, "dropped"))
    for name, path in paths.items():
        utterances = manifest.read(path)
        hours = sum(u.seconds for u in utterances) / 3600
        speakers = len({u.speaker for u in utterances if u.speaker})
        yield (
            f"{name:<{width}}  {len(utterances):>7} utterances  {hours:>8.2f} hours  "
            f"{speakers or 'unknown':>7} speakers  {path}"
        )
    with (dest / DROPPED).open(encoding="utf-8", newline="") as file:
        dropped = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    yield f"{'dropped':<{width}}  {len(dropped):>7}" + (f"  reasons in {dest / DROPPED}" if dropped else "")
    for row in dropped[:NAMED]:
        yield f"  {row['split']} {row['id']}: {row['reason']}"
    if len(dropped) > NAMED:
        yield f"  … and {len(dropped) - NAMED} more"
