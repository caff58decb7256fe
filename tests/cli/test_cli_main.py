"""The command as a whole: start-up, usage, and how errors are told."""

import errno
import logging
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import tiny

import asrattn
from asrattn.cli import describe, main
from asrattn.errors import AsrattnError

# A command that has more to say than a pipe holds.
LOUD = """
import sys
from asrattn.cli import describe, main
describe.run = lambda args: print("x" * 1_000_000) or 0
sys.exit(main.main(["describe", "x"]))
"""


def command(*arguments: object, **options: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "asrattn.cli.main", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


class TestStart:
    @pytest.mark.parametrize("argv", [["--help"], ["--version"], ["transcribe", "--help"], []])
    def test_nothing_heavy_is_imported(self, argv: list[str]) -> None:
        program = f"""
import sys
from asrattn.cli.main import main
try:
    main({argv!r})
except SystemExit:
    pass
heavy = {{"torch", "numpy", "scipy", "lightning", "matplotlib", "tqdm", "safetensors"}} & sys.modules.keys()
assert not heavy, heavy
"""
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def test_help_is_quick(self) -> None:
        """In CPU time, which a busy machine does not stretch."""

        def seconds() -> float:
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            assert command("--help").returncode == 0
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

        assert min(seconds() for _ in range(5)) < 0.3

    def test_version(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit, match="0"):
            main.main(["--version"])
        assert capsys.readouterr().out == f"asrattn {asrattn.__version__}\n"

    def test_alone_it_shows_the_help(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main.main([]) == 0
        out = capsys.readouterr().out
        # argparse puts the help of a long name on the next line
        assert all(re.search(rf"^    {name}\s", out, re.MULTILINE) for name in main.COMMANDS)

    @pytest.mark.parametrize("name", main.COMMANDS)
    def test_each_command_explains_itself(self, name: str, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit, match="0"):
            main.main([name, "--help"])
        out = capsys.readouterr().out
        assert f"usage: asrattn {name}" in out
        assert "%%" not in out

    @pytest.mark.parametrize(
        "argv",
        [
            ["transcrib"],
            ["transcribe"],
            ["transcribe", "model", "a.wav", "--beam", "0"],
            ["transcribe", "model", "a.wav", "--beam", "many"],
            ["transcribe", "model", "a.wav", "--ctc", "1.5"],
            ["transcribe", "model", "a.wav", "--format", "xml"],
            ["evaluate", "model"],
            ["evaluate", "model", "a.jsonl", "--worst", "-1"],
            ["describe"],
        ],
    )
    def test_wrong_usage(self, argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit, match="2"):
            main.main(argv)
        assert "usage: asrattn" in capsys.readouterr().err


class TestErrors:
    @pytest.fixture
    def failing(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
        """Status and stderr of a command that raises."""

        def fail(error: BaseException) -> tuple[int, str]:
            def run(args: object) -> int:
                raise error

            monkeypatch.setattr(describe, "run", run)
            status = main.main(["describe", "x"])
            return status, capsys.readouterr().err

        return fail

    def test_a_told_error_is_one_line(self, failing) -> None:
        assert failing(AsrattnError("x: is wrong;\nmend it")) == (1, "asrattn: x: is wrong; mend it\n")

    def test_interrupted(self, failing) -> None:
        assert failing(KeyboardInterrupt()) == (130, "asrattn: interrupted\n")

    def test_full_disk(self, failing) -> None:
        status, err = failing(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "out.txt"))
        assert (status, err) == (
            1,
            "asrattn: out.txt: no space left on the disk; make room and start again\n",
        )

    def test_no_permission(self, failing) -> None:
        status, err = failing(PermissionError(errno.EACCES, os.strerror(errno.EACCES), "out"))
        assert (status, err) == (1, "asrattn: out: Permission denied\n")

    def test_a_fault_of_the_program_is_not_hidden(self, failing) -> None:
        with pytest.raises(ZeroDivisionError):
            failing(ZeroDivisionError())

    def test_the_log_is_left_as_it_was(self, failing) -> None:
        log = logging.getLogger("asrattn")
        before = (list(log.handlers), log.level)
        failing(AsrattnError("x"))
        assert (log.handlers, log.level) == before


class TestProcess:
    def test_transcribes(self, tmp_path: Path) -> None:
        model = tiny.model_file(tmp_path)
        for name in ("a", "b"):
            tiny.sound(tmp_path / "sounds" / f"{name}.wav", 1.0)
        done = command("transcribe", model, tmp_path / "sounds", tmp_path / "absent.wav", "--threads", 1)
        assert done.returncode == 1
        assert [line.split("\t")[0] for line in done.stdout.splitlines()] == [
            str(tmp_path / "sounds" / f"{name}.wav") for name in ("a", "b")
        ]
        assert done.stderr.splitlines() == [
            f"asrattn: {tmp_path / 'absent.wav'}: does not exist; check the path",
            "asrattn: 1 of 3 could not be transcribed",
        ]

    def test_a_reader_that_leaves_early(self) -> None:
        argv = ["bash", "-c", '"$@" | true; exit ${PIPESTATUS[0]}', "bash", sys.executable, "-c", LOUD]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (main.EXIT_BROKEN_PIPE, "")

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
    def test_output_onto_a_full_disk(self) -> None:
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                [sys.executable, "-c", LOUD], stdout=full, stderr=subprocess.PIPE, text=True, check=False
            )
        message = "asrattn: output: no space left on the disk; make room and start again\n"
        assert (done.returncode, done.stderr) == (1, message)
