"""The tests marked gpu, and their outcome."""

import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

from asrattn.errors import AsrattnError
from benchmarks.gpu import tables

ROOT = Path(__file__).resolve().parents[2]
QUICK = ("tests/test_features.py", "tests/inference/test_recognizer_gpu.py")
PROCESSES = "4"


def measure(device: str, small: bool) -> None:
    """Print a row, and one for each test that failed. Raises AsrattnError where one has, or none was run."""
    files = QUICK if small else marked()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-v",
            "-m",
            "gpu",
            "-W",
            "default",
            f"--junitxml={report}",
            *files,
        ]
        if not small and importlib.util.find_spec("xdist"):
            command += ["-n", PROCESSES]
        chosen = {"ASRATTN_TEST_DEVICE": device}
        # pytest's output goes where progress goes.
        subprocess.run(command, cwd=ROOT, env=os.environ | chosen, stdout=sys.stderr, check=False)
        if not report.is_file():
            raise AsrattnError("the tests were not run; see pytest's output above")
        suite = ElementTree.parse(report).getroot()[0]
    counts = {name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")}
    bad = counts["failures"] + counts["errors"]
    tables.begin("Tests", "Those marked gpu.", ["test", "result"], device)
    passed = counts["tests"] - bad - counts["skipped"]
    tables.row(["all", f"{passed} passed, {bad} failed, {counts['skipped']} skipped"])
    for case in suite:
        for trouble in (*case.findall("failure"), *case.findall("error")):
            lines = trouble.get("message", "").strip().splitlines() or [""]
            tables.row([f"`{case.get('classname')}::{case.get('name')}`", lines[0].replace("|", "/")[:160]])
    if bad or not passed:
        raise AsrattnError(f"{bad} tests failed, {passed} passed")


def marked() -> list[str]:
    """The files with such tests."""
    found = sorted(ROOT.glob("tests/**/test_*.py"))
    return [str(path.relative_to(ROOT)) for path in found if "mark.gpu" in path.read_text(encoding="utf-8")]
