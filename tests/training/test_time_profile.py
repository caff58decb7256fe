"""The time of a run is told, and adds up."""

import logging
import re
import time
from pathlib import Path

import pytest
import tones

from asrattn.training.fit import fit
from asrattn.training.time_profile import TimeProfiler


def test_every_second_of_a_run_is_somewhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock, corpus = TimeProfiler(), tones.write_corpus(tmp_path)
    with caplog.at_level(logging.INFO, "asrattn"):
        before = time.perf_counter()
        fit(tones.recipe(epochs=2), corpus, tmp_path / "run", accelerator="cpu", callbacks=[clock])
        wall = time.perf_counter() - before
    assert set(clock.seconds) == {"steps", "input", "validation", "checkpoints", "between"}
    assert all(seconds > -0.001 for seconds in clock.seconds.values())
    assert clock.seconds["steps"] > 0.2 * sum(clock.seconds.values())
    assert clock.seconds["checkpoints"] > 0
    assert sum(clock.seconds.values()) < wall
    (told,) = [m for m in caplog.messages if "input" in m and "checkpoints" in m][:1]
    shares = [float(share) for share in re.findall(r"([\d.]+) %", told)]
    assert len(shares) == 5
    assert sum(shares) == pytest.approx(100, abs=0.3)
