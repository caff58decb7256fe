"""What all tests share: one thread each, one library for matrix products, few examples of a property, real speech."""

import os
from collections.abc import Generator, Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is loaded, here and in processes the tests start
os.environ.setdefault(
    "ASRATTN_GEMM", "onednn"
)  # the same bits on every machine, and nothing in the cache folder

import pytest
from hypothesis import settings

settings.register_profile("quick", max_examples=20, deadline=None)
settings.register_profile("full", max_examples=100, deadline=None)  # make test-slow
settings.load_profile("quick")

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real corpora, or a skip that says why."""
    if not SHARED.is_dir():
        pytest.skip("no real speech at ../shared/data; the synthetic corpus serves")
    return SHARED


@pytest.fixture
def accelerator() -> Iterator[str]:
    """The device of tests marked gpu, which multiplies float32 as it is; ASRATTN_TEST_DEVICE=cpu tests the tests."""
    import torch

    device = os.environ.get("ASRATTN_TEST_DEVICE", "cuda")
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU here; ASRATTN_TEST_DEVICE=cpu runs this test on the CPU")
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    yield device
    torch.backends.cudnn.allow_tf32 = before


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train.jsonl and dev.jsonl of the language of tones."""
    import tones

    return tones.write_corpus(tmp_path_factory.mktemp("tones"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """File names that are no UTF-8 stand in captured logs, and pytest-xdist sends UTF-8 alone."""
    report = yield
    report.sections = [
        (name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections
    ]
    return report
