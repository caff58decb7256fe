"""Worker processes of an experiment: each takes the runs that no other has started."""

import contextlib
import fcntl
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NoReturn

import lightning as L
from lightning.pytorch.callbacks import Callback

from asrattn import files
from asrattn.cpu_count import usable_cpus
from asrattn.errors import AsrattnError, DataError, StoppedError

log = logging.getLogger(__name__)

_POLL_SECONDS = 0.5  # interval between two calls of on_poll

WorkerTask = Callable[[int], None]  # takes the number of the process; must be picklable


def run_workers(
    work: WorkerTask, jobs: int, threads: int | None, out: Path, on_poll: Callable[[], None]
) -> None:
    """Run `jobs` processes until each has returned; call `on_poll` twice a second and at the end.

    They log to out/worker-0.log and so on. With several GPUs each gets one of its own. threads: CPU threads of each
    process; None divides the cores.

    Raises StoppedError on Ctrl-C and SIGTERM, after each process has saved its state; DataError if one failed.
    """
    files.make_folder(out)
    cores = threads or max(1, usable_cpus() // jobs)
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=_worker_main, args=(work, number, cores, out), name=f"worker-{number}")
        for number in range(jobs)
    ]
    for process in processes:
        process.start()
    before: Any = None
    if threading.current_thread() is threading.main_thread():  # Python allows handlers in no other
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        while any(p.is_alive() for p in processes):
            on_poll()
            time.sleep(_POLL_SECONDS)
        on_poll()
    except KeyboardInterrupt:
        raise StoppedError(f"stopped; the same command resumes in {out}") from None
    finally:
        _stop(processes)  # no effect on finished ones
        if before is not None:
            signal.signal(signal.SIGTERM, before)
    failed = next((p for p in processes if p.exitcode), None)
    if failed:
        raise DataError(f"a process failed; see the end of {out / failed.name}.log")


class StopWhenOrphaned(Callback):
    """Ends a run after its epoch, when it is saved, if the parent process is gone."""

    def __init__(self) -> None:
        self._parent = os.getppid()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if os.getppid() != self._parent:
            raise StoppedError("the parent process is gone")


def try_lock_folder(folder: Path) -> int | None:
    """Make and lock a folder, until this process closes the returned descriptor or ends; None if another holds it."""
    files.make_folder(folder)
    return files.try_lock(folder / "held.lock")


@contextlib.contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Exclusive lock between processes."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _worker_main(work: WorkerTask, number: int, threads: int, out: Path) -> None:
    """Runs in a session of its own: Ctrl-C reaches only the parent, which stops its workers."""
    import torch

    os.setsid()
    devices = torch.cuda.device_count()
    if devices > 1:
        os.environ["CUDA_VISIBLE_DEVICES"] = str(number % devices)
    torch.set_num_threads(threads)
    sys.stderr = (out / f"worker-{number}.log").open("a", buffering=1)
    logging.getLogger("asrattn").addHandler(logging.StreamHandler(sys.stderr))
    logging.getLogger("asrattn").setLevel(logging.INFO)
    signal.signal(signal.SIGTERM, _raise_stopped)  # during training StopSignalHandler replaces it
    try:
        work(number)
    except StoppedError as stopped:
        log.info("%s", stopped)
    except AsrattnError as error:
        log.error("%s", error)
        raise SystemExit(1) from None


def _raise_stopped(*_: object) -> NoReturn:
    raise StoppedError("stopped between two runs")


def _stop(processes: Sequence[BaseProcess]) -> None:
    for process in processes:
        process.terminate()  # SIGTERM: training finishes its step and saves
    for process in processes:
        process.join()
