"""How many CPUs a process may use, by affinity and by the quota of its container."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from asrattn.cli import options
from asrattn.cpu_count import usable_cpus

V2, V1 = "0::/a/b\n", "4:memory:/x\n1:cpu,cpuacct:/docker/7\n"


@pytest.fixture(autouse=True)
def eight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))


def system(folder: Path, group: str, files: dict[str, str]) -> Path:
    for name, content in {"proc/self/cgroup": group, **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content + "\n")
    return folder


@pytest.mark.parametrize(
    ("group", "files", "expected"),
    [
        ("", {}, 8),
        (V2, {}, 8),
        (V2, {"sys/fs/cgroup/a/b/cpu.max": "max 100000"}, 8),
        (V2, {"sys/fs/cgroup/a/b/cpu.max": "50000 100000"}, 1),
        (V2, {"sys/fs/cgroup/a/b/cpu.max": "250000 100000"}, 3),
        (V2, {"sys/fs/cgroup/a/cpu.max": "200000 100000", "sys/fs/cgroup/a/b/cpu.max": "max 100000"}, 2),
        (V2, {"sys/fs/cgroup/cpu.max": "100000 100000"}, 1),
        (V2, {"sys/fs/cgroup/cpu.max": "1600000 100000"}, 8),
        (V2, {"sys/fs/cgroup/cpu.max": "50000 0"}, 8),
        (V2, {"sys/fs/cgroup/cpu.max": "what is this"}, 8),
        (
            V1,
            {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"},
            8,
        ),
        (
            V1,
            {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "150000", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"},
            2,
        ),
        (
            V1,
            {
                "sys/fs/cgroup/cpu/docker/7/cpu.cfs_quota_us": "50000",
                "sys/fs/cgroup/cpu/docker/7/cpu.cfs_period_us": "100000",
            },
            1,
        ),
    ],
)
def test_the_quota_of_a_container(group: str, files: dict[str, str], expected: int, tmp_path: Path) -> None:
    assert usable_cpus(system(tmp_path, group, files)) == expected


def test_affinity_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})
    assert usable_cpus(tmp_path) == 1


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system binds no process to CPUs")
def test_jobs_follow_the_affinity() -> None:
    """As under `taskset -c 0`; a fresh process, since defaults are computed on import."""
    program = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from data_prep.build import PrepOptions\n"
        "from data_prep.__main__ import main\n"
        "print(PrepOptions().jobs)"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout == "1\n"


@pytest.mark.parametrize(
    ("typed", "variable", "cpus", "expected"),
    [(None, None, 1, [1]), (None, "4", 1, []), (None, None, 64, []), (3, None, 1, [3])],
)
def test_threads_follow_the_quota_unless_they_are_named(
    monkeypatch: pytest.MonkeyPatch, typed: int | None, variable: str | None, cpus: int, expected: list[int]
) -> None:
    chosen: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", chosen.append)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr(options, "usable_cpus", lambda: cpus)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if variable:
        monkeypatch.setenv("OMP_NUM_THREADS", variable)
    options.use_threads(argparse.Namespace(threads=typed))
    assert chosen == expected
