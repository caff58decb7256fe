"""What ends a run from outside."""

import signal
import threading
from collections.abc import Iterator

import pytest

from asrattn.errors import StoppedError
from asrattn.training.signals import StopSignalHandler

HEEDED = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    before = [signal.getsignal(each) for each in HEEDED]
    yield
    for each, handler in zip(HEEDED, before, strict=True):
        signal.signal(each, handler)


@pytest.mark.parametrize("number", HEEDED)
def test_the_first_is_noted_and_the_second_stops_at_once(number: signal.Signals) -> None:
    signals = StopSignalHandler()
    signals.install()
    signal.raise_signal(number)
    assert signals.name == number.name
    with pytest.raises(StoppedError, match=r"SIGTERM for the second time; resume with --resume"):
        signal.raise_signal(signal.SIGTERM)


def test_on_the_way_out_none_disturbs() -> None:
    signals = StopSignalHandler()
    signals.install()
    signals.ignore()
    for each in HEEDED:
        signal.raise_signal(each)
    assert signals.name is None


def test_outside_the_main_thread_nothing_is_changed() -> None:
    before = [signal.getsignal(each) for each in HEEDED]
    signals = StopSignalHandler()
    thread = threading.Thread(target=signals.install)
    thread.start()
    thread.join()
    assert [signal.getsignal(each) for each in HEEDED] == before
