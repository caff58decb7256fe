"""`asrattn COMMAND …`: results to stdout, everything else to stderr.

Status: 0 done, 1 a told error (also when any file failed), 2 wrong usage, 130 interrupted.
"""

import argparse
import contextlib
import errno
import logging
import os
import sys
from collections.abc import Iterator, Sequence

import asrattn
from asrattn.cli import (
    ablate,
    align,
    attend,
    check,
    compare,
    describe,
    evaluate,
    listen,
    lm,
    reproduce,
    rover,
    score,
    search,
    train,
    transcribe,
    tune,
)
from asrattn.errors import AsrattnError

COMMANDS = {
    "train": train,
    "transcribe": transcribe,
    "evaluate": evaluate,
    "score": score,
    "compare": compare,
    "rover": rover,
    "check": check,
    "describe": describe,
    "reproduce": reproduce,
    "search": search,
    "ablate": ablate,
    "attend": attend,
    "align": align,
    "tune": tune,
    "listen": listen,
    "lm": lm,
}
INTERRUPTED = 130
BROKEN_PIPE = 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its status; wrong usage leaves through SystemExit(2), as argparse does."""
    parser = _parser()
    args = parser.parse_args(argv)
    args.typed = ["asrattn", *(sys.argv[1:] if argv is None else argv)]
    if args.command is None:
        parser.print_help()
        return 0
    with _logging():
        try:
            status: int = COMMANDS[args.command].run(args)
            sys.stdout.flush()  # here a full disk or a closed pipe can still be told
            return status
        except AsrattnError as error:
            return _tell(str(error), error.status)
        except KeyboardInterrupt:
            return _tell("interrupted", INTERRUPTED)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing to flush at exit
            return BROKEN_PIPE
        except OSError as error:
            return _tell(_os_message(error), 1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="asrattn", description="Attention-based speech recognition.")
    parser.add_argument("-V", "--version", action="version", version=f"asrattn {asrattn.__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for command in COMMANDS.values():
        command.add(subparsers)
    return parser


@contextlib.contextmanager
def _logging() -> Iterator[None]:
    """The package's log on stderr, for as long as a command runs."""
    log = logging.getLogger("asrattn")
    handler = logging.StreamHandler(sys.stderr)
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


def _tell(message: str, status: int) -> int:
    print("asrattn:", " ".join(message.splitlines()), file=sys.stderr)
    return status


def _os_message(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return f"{error.filename or 'output'}: no space left on the disk; make room and start again"
    return f"{error.filename}: {error.strerror}" if error.filename else str(error)


if __name__ == "__main__":
    sys.exit(main())
