"""Stop signals: Ctrl-C, SIGTERM, and SIGUSR1, which SLURM sends before the time limit of a job."""

import signal
import threading
from collections.abc import Callable
from types import FrameType

from asrattn.errors import StoppedError


class StopSignalHandler:
    """Records the first signal, so that the run finishes its step and saves; a second one stops it at once.

    Lightning restores the previous handlers when the run ends, however it ends.

    name     of the signal received, or None
    """

    def __init__(self) -> None:
        self.name: str | None = None

    def install(self) -> None:
        """Handle signals from now on; does nothing outside the main thread, where Python allows no handlers."""
        _handle(self._record)

    def ignore(self) -> None:
        """Ignore signals from now on: the shutdown must not be interrupted."""
        _handle(signal.SIG_IGN)

    def _record(self, number: int, _: FrameType | None) -> None:
        again, self.name = self.name is not None, signal.Signals(number).name
        if again:
            raise StoppedError(f"stopped by {self.name} for the second time; resume with --resume")


def _handle(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, handler)
