import os
import subprocess
import sys

import pytest
import torch

from asrattn.errors import ConfigError
from asrattn.training import precision
from asrattn.training.precision import resolve_precision


@pytest.fixture(params=[True, False])
def known(request, monkeypatch):
    """Whether the processor knows bf16."""
    monkeypatch.setattr(precision, "has_native_bf16", lambda: request.param)
    return request.param


def test_a_recipe_gets_bf16_where_the_processor_knows_it(known, caplog):
    with caplog.at_level("INFO"):
        assert resolve_precision("bf16", None, "cpu") == ("bf16" if known else "fp32")
    warned = [m.startswith("this processor has no native bf16") for m in caplog.messages]
    assert warned == [True][known:]


def test_who_asks_for_bf16_gets_it(known):
    assert resolve_precision("fp32", "bf16", "cpu") == resolve_precision("bf16", "bf16", "cpu") == "bf16"


@pytest.mark.parametrize("asked", ["fp32", None])
def test_fp32_stays(known, asked):
    assert resolve_precision("fp32", asked, "cpu") == "fp32"


def test_a_gpu_is_not_asked_what_the_processor_knows(known):
    assert resolve_precision("bf16", None, "gpu") == "bf16"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
@pytest.mark.parametrize("accelerator", ["cpu", "auto", "gpu"])
def test_fp16_needs_a_gpu(accelerator):
    with pytest.raises(ConfigError, match="--precision fp16: needs a GPU"):
        resolve_precision("bf16", "fp16", accelerator)


def test_a_processor_that_only_emulates_it_does_not_know_it(monkeypatch):
    """Such as those with AVX-512 of before 2020: oneDNN takes bf16 there, and is slower with it."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_f": True, "avx512_bf16": False})
    assert not precision.has_native_bf16()


@pytest.mark.skipif(not precision.has_native_bf16(), reason="this processor has no native bf16")
def test_an_older_processor_is_recognised():
    told = subprocess.run(
        [sys.executable, "-c", "from asrattn.training import precision as p; print(p.has_native_bf16())"],
        env=os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == "False"
