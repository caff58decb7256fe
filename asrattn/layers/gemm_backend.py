"""Which library computes float32 matrix products (GEMM) on the CPU: oneDNN, or MKL, to which torch gives them.

Which one is faster depends on the processor and on the product, so both are timed once on the machine. The result is
kept in the user's cache folder, by processor and torch version, and with each training run: a resumed run computes the
same bits. ASRATTN_GEMM=onednn or =mkl decides without a measurement.
"""

import json
import logging
import os
import platform
import re
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple, cast, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from asrattn.errors import ConfigError

log = logging.getLogger(__name__)

Backend = Literal["onednn", "mkl"]  # mkl: what torch was built with; another BLAS on some processors
VARIABLE = "ASRATTN_GEMM"
MIN_GAIN = 1.1  # how much faster than oneDNN MKL must be; below, timings on a busy machine are noise
ROWS, REPEATS = 384, 4
SIZES = ((256, 1024), (1024, 256))  # (inputs, outputs) of the layers that are timed, as in a feed-forward net


class GemmBackends(NamedTuple):
    """forward: of x Wᵀ, and of the gradient of x, which is as fast; weight_grad: of the gradient of W, yᵀ x."""

    forward: Backend = "onednn"
    weight_grad: Backend = "onednn"


_used: GemmBackends | None = None


def gemm_backends() -> GemmBackends:
    """Those of this process: of ASRATTN_GEMM, of `use_gemm_backends`, of the cache folder, or measured now (0.1 s).

    Raises ConfigError for another word in ASRATTN_GEMM.
    """
    global _used
    if _used is None:
        _used = _from_environment() or _measured_once()
    return _used


def use_gemm_backends(backends: GemmBackends) -> None:
    """Compute with those from now on, such as a resumed run's, unless ASRATTN_GEMM says otherwise."""
    global _used
    _used = _from_environment() or backends


def product(backend: Backend, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x (..., I), weight (O, I), bias (O,) -> (..., O), without gradient if by oneDNN."""
    if backend == "mkl":
        return F.linear(x, weight, bias)
    out: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return out


def measure() -> GemmBackends:
    """The faster ones: the sum over SIZES of the fastest of REPEATS turns, in which the libraries alternate."""
    layers = [(torch.ones(ROWS, i), torch.ones(ROWS, o), torch.ones(o, i)) for i, o in SIZES]
    with torch.no_grad():
        forward = _faster(lambda backend: [product(backend, x, weight) for x, _, weight in layers])
        weight_grad = _faster(lambda backend: [product(backend, y.t(), x.t()) for x, y, _ in layers])
    return GemmBackends(forward, weight_grad)


def _faster(compute: Callable[[Backend], object]) -> Backend:
    seconds: dict[Backend, float] = {}
    for turn in range(1 + REPEATS):  # the first one makes the kernels
        for backend in get_args(Backend):
            start = time.process_time()  # not the clock on the wall: others' work must not count
            compute(backend)
            took = time.process_time() - start
            seconds[backend] = min(seconds.get(backend, took), took) if turn else took
    return "mkl" if seconds["mkl"] * MIN_GAIN < seconds["onednn"] else "onednn"


def _from_environment() -> GemmBackends | None:
    word = os.environ.get(VARIABLE)
    if not word:
        return None
    if word not in get_args(Backend):
        raise ConfigError(f"{VARIABLE} is {word}; set it to {' or '.join(get_args(Backend))}, or to nothing")
    backend = cast(Backend, word)
    return GemmBackends(backend, backend)


def _measured_once() -> GemmBackends:
    """What the cache folder holds; if it holds nothing, a measurement, which is kept there if possible."""
    path = _cache_file()
    found = _read(path)
    if found:
        return found
    measured = measure()
    log.debug("matrix products: %s (%s)", measured, path)
    try:
        _keep(path, measured)
    except OSError as error:
        log.debug("%s: cannot be written (%s)", path, error)
    return _read(path) or measured  # another process may have been first


def _cache_file() -> Path:
    """One for each processor, instruction set and version of torch."""
    processor = str(torch.cpu.get_capabilities().get("cpu_name", platform.machine()))
    limits = [os.environ.get(name, "") for name in ("ONEDNN_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS")]
    about = [processor, torch.backends.cpu.get_cpu_capability(), *limits, torch.__version__]
    name = re.sub(r"[^\w.+]+", "-", "-".join(filter(None, about)))
    folder = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111 (Path fails if there is no home)
    return Path(folder) / "asrattn" / f"gemm-{name}.json"


def _read(path: Path) -> GemmBackends | None:
    """None if there is no such file, or one that cannot be understood."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        backends = GemmBackends(found["forward"], found["weight_grad"])
        return backends if set(backends) <= set(get_args(Backend)) else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _keep(path: Path, backends: GemmBackends) -> None:
    """Write the file whole, unless a good one is there by now. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, encoding="utf-8") as draft:
        json.dump(backends._asdict(), draft)
        draft.flush()
        if not _read(path):
            path.unlink(missing_ok=True)
        with suppress(FileExistsError):
            os.link(draft.name, path)
