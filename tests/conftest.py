"""What all tests share: one thread each, one library for matrix products, and the real speech beside the repository."""

import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is loaded, here and in processes the tests start
os.environ.setdefault(
    "ASRATTN_GEMM", "onednn"
)  # the same bits on every machine, and nothing in the cache folder

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real corpora, or a skip that says why."""
    if not SHARED.is_dir():
        pytest.skip("no real speech at ../shared/data; the synthetic corpus serves")
    return SHARED
