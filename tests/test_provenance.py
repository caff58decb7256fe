"""The card: versions, hardware, commit, and energy from made counters."""

import re
from pathlib import Path

import pytest
import torch

import asrattn
from asrattn import provenance


def test_versions_name_what_computes() -> None:
    found = provenance.versions()
    assert found["asrattn"] == asrattn.__version__
    assert {"python", "torch", "torchaudio", "lightning", "numpy"} <= found.keys()


def test_hardware_is_one_line() -> None:
    assert re.fullmatch(r".+, 2 processes × \d+ threads", provenance.hardware(torch.device("cpu"), 2))


def test_the_commit_is_one_or_empty() -> None:
    assert re.fullmatch(r"([0-9a-f]{12}\+?)?", provenance.git_commit())


@pytest.fixture
def counters(tmp_path: Path) -> Path:
    """A package, a part of it that must not count twice, and a domain of the whole platform."""
    for folder, name in (
        ("intel-rapl:0", "package-0"),
        ("intel-rapl:0:0", "core"),
        ("intel-rapl:1", "psys"),
    ):
        domain = tmp_path / folder
        domain.mkdir()
        (domain / "name").write_text(name + "\n")
        (domain / "energy_uj").write_text("900000000\n")
        (domain / "max_energy_range_uj").write_text("1000000000\n")
    return tmp_path


def count(folder: Path, microjoules: int) -> None:
    (folder / "intel-rapl:0" / "energy_uj").write_text(f"{microjoules}\n")


def test_energy_adds_up_over_the_counters_turn(counters: Path) -> None:
    meter = provenance.EnergyMeter(counters)
    assert meter.joules() == 0
    count(counters, 950_000_000)
    assert meter.joules() == pytest.approx(50)
    count(counters, 10_000_000)  # around: 50 to the end, 10 from its beginning
    assert meter.joules() == pytest.approx(110)
    assert provenance.format_energy(3600.0).startswith("1.00 Wh")


def test_a_platform_that_tells_nothing(tmp_path: Path) -> None:
    assert provenance.EnergyMeter(tmp_path / "absent").joules() is None
    assert provenance.format_energy(None) == "not reported by this platform"


def test_counters_that_are_not_ours_to_read(counters: Path) -> None:
    (counters / "intel-rapl:0" / "energy_uj").unlink()
    assert provenance.EnergyMeter(counters).joules() is None
