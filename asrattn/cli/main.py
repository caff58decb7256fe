"""`asrattn COMMAND …`: results to stdout, everything else to stderr.

Status: 0 done, 1 a told error (also when any file failed), 2 wrong usage, 130 interrupted.
"""

import argparse
import contextlib
import errno
import importlib
import logging
import os
import sys
from collections.abc import Iterator, Sequence

import asrattn
from asrattn.errors import AsrattnError

COMMANDS = {  # each is the module of its name, imported when it is asked for
    "train": "train a model",
    "transcribe": "what is said in sound files",
    "evaluate": "WER and CER of a model, with intervals",
    "score": "WER and CER of hypotheses against references, with intervals",
    "compare": "is one system better than another? paired tests, and what changed",
    "rover": "combine what several systems heard, word by word",
    "check": "what is wrong with a corpus",
    "describe": "configuration, parameters, memory and time of a model or recipe",
    "reproduce": "the commands that would repeat a training or an evaluation",
    "search": "search the settings of a recipe",
    "ablate": "compare variants of a recipe",
    "attend": "what the decoder looks at in a sound file",
    "align": "when each word of known texts is said",
    "tune": "choose a model's search on dev, and calibrate its confidence",
    "listen": "what is said into the microphone, while it is said",
    "lm": "language models from text",
}
INTERRUPTED = 130
BROKEN_PIPE = 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its status; wrong usage leaves through SystemExit(2), as argparse does."""
    words = sys.argv[1:] if argv is None else argv
    parser = _parser(next((word for word in words if not word.startswith("-")), None))
    args = parser.parse_args(words)
    args.typed = ["asrattn", *words]
    if args.command is None:
        parser.print_help()
        return 0
    with _logging():
        try:
            status: int = args.run(args)
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


def _parser(asked: str | None) -> argparse.ArgumentParser:
    """All commands with a line of help; the options of the one that is asked for."""
    parser = argparse.ArgumentParser(prog="asrattn", description="Attention-based speech recognition.")
    parser.add_argument("-V", "--version", action="version", version=f"asrattn {asrattn.__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, line in COMMANDS.items():
        command = subparsers.add_parser(name, help=line)
        if name == asked:
            importlib.import_module(f"asrattn.cli.{name}").add(command)
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
