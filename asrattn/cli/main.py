"""`asrattn COMMAND …`: results to stdout, everything else to stderr.

Status: 0 done, 1 a reported error (also if any file failed), 2 wrong usage, 130 interrupted.
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
from asrattn import deprecated
from asrattn.errors import AsrattnError
from asrattn.files import printable

COMMANDS = {  # each is a module, imported only for its command
    "train": "train a model",
    "pretrain": "pre-train an encoder on audio without transcripts (BEST-RQ)",
    "transcribe": "transcribe audio files",
    "evaluate": "WER and CER of a model, with intervals",
    "score": "WER and CER of hypotheses against references, with intervals",
    "compare": "is one system better than another? paired tests, and what changed",
    "rover": "combine the hypotheses of several systems, word by word (ROVER)",
    "check": "check a corpus for problems",
    "describe": "configuration, parameters, memory and time of a model or recipe",
    "reproduce": "the commands that would repeat a training or an evaluation",
    "sweep": "hyper-parameter sweep over the settings of a recipe",
    "ablate": "compare variants of a recipe",
    "plot-attention": "plot the attention weights of an audio file",
    "align": "forced alignment: word times of known transcripts",
    "tune-decoding": "tune the decoding settings on dev and calibrate the word confidence",
    "import": "import a pre-trained model: Whisper, or an encoder of the Hugging Face family",
    "export": "export a fine-tuned Whisper to other programs",
    "pseudo-label": "label utterances with a model's transcripts, for training",
    "listen": "streaming recognition from the microphone",
    "lm": "language models from text",
}
MODULES = {"import": "import_model", "export": "export_model"}  # those that are not called as their command
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its status; wrong usage leaves through SystemExit(2), as argparse does."""
    with _logging():
        args = parse_arguments(sys.argv[1:] if argv is None else argv)
        if args.command is None:
            _parser(None).print_help()
            return 0
        return _run(args)


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """The command and its options; wrong usage leaves through SystemExit(2), as argparse does."""
    words = deprecated.current_arguments(argv)
    args = _parser(next((word for word in words if not word.startswith("-")), None)).parse_args(words)
    args.typed = ["asrattn", *words]
    return args


def _run(args: argparse.Namespace) -> int:
    """The status of a command; errors are one line on stderr."""
    try:
        status: int = args.run(args)
        sys.stdout.flush()  # here a full disk or a closed pipe can still be reported
        return status
    except AsrattnError as error:
        return _print_error(str(error), error.exit_status)
    except KeyboardInterrupt:
        return _print_error("interrupted", EXIT_INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing to flush at exit
        return EXIT_BROKEN_PIPE
    except OSError as error:
        return _print_error(_os_message(error), 1)


def _parser(requested: str | None) -> argparse.ArgumentParser:
    """All commands with a line of help; the options of the requested one."""
    parser = argparse.ArgumentParser(prog="asrattn", description="Attention-based speech recognition.")
    parser.add_argument("-V", "--version", action="version", version=f"asrattn {asrattn.__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, line in COMMANDS.items():
        command = subparsers.add_parser(name, help=line)
        if name == requested:
            module = MODULES.get(name, name.replace("-", "_"))
            importlib.import_module(f"asrattn.cli.{module}").add(command)
    return parser


class _PrintableFormatter(logging.Formatter):
    """File names in a message cannot break its line, or speak to the terminal."""

    def format(self, record: logging.LogRecord) -> str:
        given = record.args if isinstance(record.args, tuple) else ()
        args = tuple(each if isinstance(each, int | float) else printable(each) for each in given)
        return super().format(logging.makeLogRecord(record.__dict__ | {"args": args or record.args}))


@contextlib.contextmanager
def _logging() -> Iterator[None]:
    """The package's log on stderr while a command runs."""
    log = logging.getLogger("asrattn")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_PrintableFormatter())
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    logging.getLogger("matplotlib").setLevel(
        logging.ERROR
    )  # it warns of a home that cannot be written, and works
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


def _print_error(message: str, status: int) -> int:
    print("asrattn:", printable(" ".join(message.splitlines())), file=sys.stderr)
    return status


def _os_message(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return f"{error.filename or 'output'}: no space left on the disk; make room and start again"
    return f"{error.filename}: {error.strerror}" if error.filename else str(error)


if __name__ == "__main__":
    sys.exit(main())
