"""What ends a run from outside: Ctrl-C, SIGTERM, and SIGUSR1, which SLURM sends before it takes the machine back."""

import signal
import threading
from collections.abc import Callable
from types import FrameType

from asrattn.errors import StoppedError


class StopSignalHandler:
    """Notes the first one, for the run to finish its step and save; a second one stops it at once.

    Lightning puts back what was there before the run, whichever way the run ends.

    name     of the one that came
    """

    def __init__(self) -> None:
        self.name: str | None = None

    def install(self) -> None:
        """From now on; nothing outside the main thread, since Python lets no other handle signals."""
        _handle(self._note)

    def ignore(self) -> None:
        """From now on: the way out is not to be disturbed."""
        _handle(signal.SIG_IGN)

    def _note(self, number: int, _: FrameType | None) -> None:
        again, self.name = self.name is not None, signal.Signals(number).name
        if again:
            raise StoppedError(f"stopped by {self.name} for the second time; resume with --resume")


def _handle(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, handler)
