"""What all tests share: the real speech beside the repository, where it is there."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real corpora, or a skip that says why."""
    if not SHARED.is_dir():
        pytest.skip("no real speech at ../shared/data; the synthetic corpus serves")
    return SHARED
