"""Summary of a prepared corpus, read back from the written files."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

from asrattn.data import manifest
from data_prep.build import DROPPED_FILENAME

MAX_SHOWN_DROPPED = 5  # dropped entries that are shown one by one


def format_summary(paths: Mapping[str, Path], dest: Path) -> Iterator[str]:
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
    with (dest / DROPPED_FILENAME).open(encoding="utf-8", newline="") as file:
        dropped = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    yield f"{'dropped':<{width}}  {len(dropped):>7}" + (
        f"  reasons in {dest / DROPPED_FILENAME}" if dropped else ""
    )
    for row in dropped[:MAX_SHOWN_DROPPED]:
        yield f"  {row['split']} {row['id']}: {row['reason']}"
    if len(dropped) > MAX_SHOWN_DROPPED:
        yield f"  … and {len(dropped) - MAX_SHOWN_DROPPED} more"
