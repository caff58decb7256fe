"""The choice of a library for matrix products: measured once, kept, and the same for all who ask."""

import subprocess
import sys

import pytest
import torch

from asrattn.errors import ConfigError
from asrattn.layers import gemm_backend
from asrattn.layers.gemm_backend import GemmBackends, gemm_backends, use_gemm_backends

MIXED = GemmBackends("onednn", "mkl")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A process that knows nothing, with a cache folder of its own."""
    monkeypatch.delenv("ASRATTN_GEMM", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(gemm_backend, "_used", None)
    return tmp_path / "asrattn"


@pytest.fixture
def measured(monkeypatch):
    """How often something was measured; each time the other way round."""
    calls = []

    def measure():
        calls.append(1)
        return MIXED if len(calls) % 2 else GemmBackends("mkl", "onednn")

    monkeypatch.setattr(gemm_backend, "measure", measure)
    return calls


def again(monkeypatch):
    """As a new process of the same user."""
    monkeypatch.setattr(gemm_backend, "_used", None)
    return gemm_backends()


def test_it_is_measured_once_on_a_machine(folder, measured, monkeypatch):
    assert [gemm_backends(), again(monkeypatch), again(monkeypatch)] == [MIXED] * 3
    assert len(measured) == 1
    assert len(list(folder.iterdir())) == 1


def test_another_processor_or_torch_is_measured_anew(folder, measured, monkeypatch):
    gemm_backends()
    monkeypatch.setattr(torch, "__version__", "9.9")
    assert again(monkeypatch) == GemmBackends("mkl", "onednn")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "OTHER")
    again(monkeypatch)
    assert (len(measured), len(list(folder.iterdir()))) == (3, 3)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"forward": "onednn", "weight_grad": "abacus"}'])
def test_a_damaged_file_is_replaced(folder, measured, monkeypatch, content):
    gemm_backends()
    (file,) = folder.iterdir()
    file.write_text(content)
    assert again(monkeypatch) == again(monkeypatch) == GemmBackends("mkl", "onednn")
    assert len(measured) == 2


def test_a_folder_that_cannot_be_written_is_no_error(folder, measured):
    folder.write_text("a file where the folder should be")
    assert gemm_backends() == gemm_backends() == MIXED
    assert len(measured) == 1


def test_of_two_processes_that_measure_at_once_the_first_one_decides(folder, monkeypatch):
    def slow():
        gemm_backend._keep(gemm_backend._cache_file(), MIXED)  # the other one was faster
        return GemmBackends("mkl", "onednn")

    monkeypatch.setattr(gemm_backend, "measure", slow)
    assert gemm_backends() == again(monkeypatch) == MIXED


@pytest.mark.parametrize("word", ["onednn", "mkl"])
def test_the_environment_decides(folder, measured, monkeypatch, word):
    monkeypatch.setenv("ASRATTN_GEMM", word)
    assert gemm_backends() == GemmBackends(word, word)
    use_gemm_backends(MIXED)
    assert gemm_backends() == GemmBackends(word, word)
    assert not measured
    assert not folder.exists()


def test_another_word_is_an_error(folder, monkeypatch):
    monkeypatch.setenv("ASRATTN_GEMM", "abacus")
    with pytest.raises(ConfigError, match="ASRATTN_GEMM is abacus; set it to onednn or mkl"):
        gemm_backends()


def test_a_run_brings_its_own(folder, measured):
    use_gemm_backends(MIXED)
    assert gemm_backends() == MIXED
    assert not measured


def test_a_measurement_draws_no_random_numbers_and_is_one_of_the_choices(folder):
    state = torch.get_rng_state()
    assert set(gemm_backend.measure()) <= {"onednn", "mkl"}
    assert torch.equal(torch.get_rng_state(), state)


def test_mkl_is_taken_only_if_it_is_clearly_faster(monkeypatch):
    """In a process whose clock is made: a product takes as long as it says."""
    for gain, chosen in ((1.05, "onednn"), (1.2, "mkl")):
        clock = [0.0]
        monkeypatch.setattr(gemm_backend.time, "process_time", lambda clock=clock: clock[0])

        def compute(backend, clock=clock, gain=gain):
            clock[0] += {"onednn": gain, "mkl": 1.0}[backend]

        assert gemm_backend._faster(compute) == chosen


def test_a_measurement_of_a_real_process_is_read_by_the_next(folder):
    code = "from asrattn.layers.gemm_backend import gemm_backends; print(*gemm_backends())"
    told = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert told[0] == told[1]
    assert len(list(folder.iterdir())) == 1
