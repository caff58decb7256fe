"""Processes that do the same work beside each other, each taking what no other has begun."""

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
from asrattn.errors import AsrattnError, DataError, StoppedError

log = logging.getLogger(__name__)

_POLL_SECONDS = 0.5  # seconds between two looks at what the processes have done

WorkerTask = Callable[[int], None]  # of the process with this number; it is sent to the process


def run_workers(
    work: WorkerTask, jobs: int, threads: int | None, out: Path, on_poll: Callable[[], None]
) -> None:
    """Run so many processes until each has returned, and `on_poll` at what they do twice a second, and at the end.

    What they log goes to out/worker-0.log and so on. With several GPUs each has one of its own. threads: of the CPU,
    for each; None: the processor's, shared out.

    Raises StoppedError on Ctrl-C and SIGTERM, after each process has saved what it was at; DataError where one failed.
    """
    files.make_folder(out)
    cores = threads or max(1, (os.cpu_count() or 1) // jobs)
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=_worker_main, args=(work, number, cores, out), name=f"worker-{number}")
        for number in range(jobs)
    ]
    for process in processes:
        process.start()
    before: Any = None
    if threading.current_thread() is threading.main_thread():  # Python lets no other handle signals
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        while any(p.is_alive() for p in processes):
            on_poll()
            time.sleep(_POLL_SECONDS)
        on_poll()
    except KeyboardInterrupt:
        raise StoppedError(f"stopped; the same command goes on in {out}") from None
    finally:
        _stop(processes)  # those that are done do not mind
        if before is not None:
            signal.signal(signal.SIGTERM, before)
    failed = next((p for p in processes if p.exitcode), None)
    if failed:
        raise DataError(f"a process failed; see the end of {out / failed.name}.log")


class StopWhenOrphaned(Callback):
    """Ends a run after its epoch, saved, when the process that started this one is gone."""

    def __init__(self) -> None:
        self._parent = os.getppid()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if os.getppid() != self._parent:
            raise StoppedError("the process that had started this one is gone")


def try_lock_folder(folder: Path) -> int | None:
    """A folder, made and held by this process until it closes the number, or ends; None where another holds it."""
    files.make_folder(folder)
    number = os.open(folder / "held.lock", os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(number)
        return None
    return number


@contextlib.contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Nobody else is within at the same time."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _worker_main(work: WorkerTask, number: int, threads: int, out: Path) -> None:
    """In a session of its own: Ctrl-C reaches it through its parent alone."""
    import torch

    os.setsid()
    devices = torch.cuda.device_count()
    if devices > 1:
        os.environ["CUDA_VISIBLE_DEVICES"] = str(number % devices)
    torch.set_num_threads(threads)
    sys.stderr = (out / f"worker-{number}.log").open("a", buffering=1)
    logging.getLogger("asrattn").addHandler(logging.StreamHandler(sys.stderr))
    logging.getLogger("asrattn").setLevel(logging.INFO)
    signal.signal(signal.SIGTERM, _raise_stopped)  # while it trains, training has its own way
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
