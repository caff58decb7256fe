"""Provenance of a run: commit, versions, hardware, energy. Models and evaluations carry it."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

import asrattn
from asrattn.config import JSONValue

POWERCAP_FOLDER = Path("/sys/class/powercap")
_PACKAGES = ("torchaudio", "lightning", "numpy")


def versions() -> dict[str, JSONValue]:
    """Of Python, of this package, and of those whose change could change a result."""
    found: dict[str, JSONValue] = {"python": platform.python_version(), "asrattn": asrattn.__version__}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    found["torch"] = str(torch.__version__)  # with its build, which its package does not name
    return found


def hardware(device: torch.device, processes: int = 1) -> str:
    """One line: the GPUs, or the processor and the threads on it."""
    if device.type == "cuda":
        return f"{processes} × {torch.cuda.get_device_name(device)}"
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = (
            row.partition(":")[2].strip()
            for row in info.read_text().splitlines()
            if row.startswith("model name")
        )
        cpu = next(names, cpu)
    return f"{cpu}, {processes} process{'es' if processes > 1 else ''} × {torch.get_num_threads()} threads"


def git_commit() -> str:
    """The commit the package runs from, "" outside a repository; with a + where files have changed since."""
    folder = Path(asrattn.__file__).parent
    try:
        found = [
            subprocess.run(
                ["git", *words], cwd=folder, capture_output=True, text=True, timeout=10, check=True
            ).stdout
            for words in (["rev-parse", "--short=12", "HEAD"], ["status", "--porcelain", "-uno", "--", "."])
        ]
    except (OSError, subprocess.SubprocessError):
        return ""
    return found[0].strip() + ("+" if found[1].strip() else "")


class EnergyMeter:
    """Energy of the processor packages since it was made, as Linux counts it (RAPL); of all that runs on them.

    The counters start again from zero, at 100 W after some forty minutes: read more often than that.
    """

    def __init__(self, folder: Path = POWERCAP_FOLDER) -> None:
        self._joules = 0.0
        self._last: dict[Path, int] = {}
        for domain in sorted(folder.glob("*-rapl:*")):
            counter = domain / "energy_uj"
            if (_read(domain / "name") or "").startswith("package") and (now := _read(counter)):
                self._last[counter] = int(now)

    def joules(self) -> float | None:
        """So far; None if the platform does not report it."""
        for counter, before in self._last.items():
            now = int(_read(counter) or before)
            turn = int(_read(counter.with_name("max_energy_range_uj")) or 0) if now < before else 0
            self._joules += (now - before + turn) / 1e6
            self._last[counter] = now
        return self._joules if self._last else None


def format_energy(joules: float | None) -> str:
    """For a card."""
    if joules is None:
        return "not reported by this platform"
    return f"{joules / 3600:.2f} Wh of the processor packages, with all that ran on them"


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:  # since 2020 these counters are root's alone on most systems
        return None
