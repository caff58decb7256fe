"""Some hundred damaged files of each kind: refused in one line or read right. benchmarks/fuzz_files.py tries more."""

from pathlib import Path

import pytest

from benchmarks import fuzz_files


@pytest.mark.parametrize("name", fuzz_files.KINDS)
def test_damaged_files_are_refused_or_read_right(name: str, tmp_path: Path) -> None:
    row = fuzz_files.run_kind(fuzz_files.KINDS[name](), 120, 1, tmp_path)
    assert row["shown"] == []
    assert row["tried"] == row.get("refused", 0) + row.get("read", 0)
    assert row["slowest"] < fuzz_files.MAX_SECONDS
