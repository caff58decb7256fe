"""A table with every kind of fault: all good rows are prepared, each bad one is dropped with its line number."""

from pathlib import Path

import pytest

from benchmarks import bad_table


@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
def test_all_good_rows_and_no_bad_one(tmp_path: Path, delimiter: str) -> None:
    table = bad_table.write_bad_table(tmp_path / "recordings", 500, delimiter)
    assert len(table.faults) == 5 * (11 if delimiter != "\t" else 9)
    assert bad_table.prepare(table, tmp_path / "out") == []
