"""Number of CPUs that this process may use: its affinity (taskset, Slurm) and the quota of its container (cgroups)."""

import math
import os
from collections.abc import Iterator
from pathlib import Path

_V2, _V1_QUOTA, _V1_PERIOD = "cpu.max", "cpu.cfs_quota_us", "cpu.cfs_period_us"


def usable_cpus(root: Path = Path("/")) -> int:
    """At least 1; parts of a CPU count as a whole one. root: of the file system, for tests."""
    known = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([known, *(math.ceil(quota) for quota in _quotas(root))]))


def _quotas(root: Path) -> Iterator[float]:
    """The quotas in CPUs of the control groups of this process, each of which holds."""
    for controllers, group in _groups(root):
        mounted = root / "sys/fs/cgroup" / ("" if controllers == [""] else "cpu")
        # A container often sees its own group as the root, though its name is longer.
        for folder in {mounted / group.lstrip("/"), *_above(group, mounted)}:
            words = _read(folder / _V2).split() or [_read(folder / _V1_QUOTA), _read(folder / _V1_PERIOD)]
            if len(words) == 2 and all(word.isdigit() for word in words) and int(words[1]):
                yield int(words[0]) / int(words[1])


def _groups(root: Path) -> Iterator[tuple[list[str], str]]:
    """The controllers and the path of each group that may limit CPUs; that of cgroups v2 has the controller ""."""
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if controllers == "" or "cpu" in controllers.split(","):
            yield controllers.split(","), group


def _above(group: str, mounted: Path) -> list[Path]:
    return [mounted / str(folder).lstrip("/") for folder in Path(group).parents]


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
