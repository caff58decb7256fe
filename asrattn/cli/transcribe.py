"""`asrattn transcribe MODEL AUDIO…`: transcribe audio files."""

import argparse
import glob
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from asrattn.cli import options, transcript_output
from asrattn.errors import AudioError

if TYPE_CHECKING:
    from asrattn.inference.export import Format

_log = logging.getLogger(__name__)


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = __doc__
    parser.add_argument("model", type=Path, metavar="MODEL", help="a run's model.safetensors")
    parser.add_argument(
        "audio", nargs="+", metavar="AUDIO", help="files, folders, quoted patterns, or - for a list on stdin"
    )
    options.add_recognition(parser)
    transcript_output.add_format_option(parser, "txt")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="a file for each audio file and format, instead of stdout"
    )
    parser.add_argument(
        "--nbest",
        type=options.positive_int,
        default=1,
        metavar="N",
        help="hypotheses per segment in the JSON (default: 1)",
    )
    parser.add_argument(
        "--timestamps",
        action="store_true",
        help="Whisper divides its text by timestamps, which may change the text: phrases with their times, in the JSON",
    )
    options.add_shard(parser, "every N-th file only, from the I-th on")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    options.check_recognition(args)
    paths, failed = _expand(args.audio)
    many = len(paths) > 1
    # Of all files: shards must not overwrite each other's.
    targets = transcript_output.output_paths(
        [(str(path), path.stem) for path in paths], args.out, args.format
    )
    paths = list(args.shard.select(paths))
    readable = [path for path in paths if _is_readable(path)]
    failed += len(paths) - len(readable)
    if readable:
        failed += _transcribe(readable, targets, many, args)
    if failed and len(paths) > 1:
        _log_error(f"{failed} of {len(paths)} could not be transcribed")
    return 1 if failed else 0


def _transcribe(
    paths: Sequence[Path], targets: "Mapping[str, dict[Format, Path]]", many: bool, args: argparse.Namespace
) -> int:
    """Write or print the transcript of each file; return the number of failures, each of which is reported."""
    from asrattn.inference.export import TIMED_FORMATS
    from asrattn.inference.transcript import Failure

    recognizer, decoding = options.load_recognizer(args)
    if args.timestamps:
        recognizer.require_whisper().timestamps = True
    decoding = replace(decoding, nbest=args.nbest)
    words, failed = not TIMED_FORMATS.isdisjoint(args.format), 0
    for outcome in options.progress_bar(
        recognizer.transcribe(paths, decoding, words=words), len(paths), "file"
    ):
        if isinstance(outcome, Failure):
            _log_error(outcome.message)
            failed += 1
            continue
        if outcome.flags:
            _log.warning(
                "%s: %s",
                outcome.path,
                "; ".join(transcript_output.FLAG_MESSAGES[flag] for flag in outcome.flags),
            )
        if args.out:
            transcript_output.write_transcript(outcome, targets[outcome.id])
        else:
            transcript_output.print_transcript(outcome, args.format[0], many)
    return failed


def _expand(arguments: Sequence[str]) -> tuple[list[Path], int]:
    """The files that the arguments name, each once, and the number of arguments without any."""
    found: dict[Path, None] = {}
    failed = 0
    for argument in arguments:
        try:
            found.update(dict.fromkeys(_files(argument)))
        except AudioError as error:
            _log_error(str(error))
            failed += 1
    return list(found), failed


def _files(argument: str) -> Iterator[Path]:
    from asrattn.audio import EXTENSIONS

    path = Path(argument)
    if argument == "-":
        yield from (Path(line) for line in sys.stdin.read().splitlines() if line.strip())
    elif path.is_dir():
        files = sorted(f for f in path.rglob("*") if f.suffix.lower() in EXTENSIONS and f.is_file())
        if not files:
            raise AudioError(f"{path}: holds no audio file ({', '.join(sorted(EXTENSIONS))})")
        yield from files
    elif glob.has_magic(argument) and not path.exists():
        matches = sorted(glob.glob(argument, recursive=True))  # noqa: PTH207 (absolute patterns too)
        if not matches:
            raise AudioError(f"{argument}: no file matches the pattern")
        for match in matches:
            yield from _files(match) if Path(match).is_dir() else [Path(match)]
    else:
        yield path


def _is_readable(path: Path) -> bool:
    """Whether a file can be opened; if not, that is reported."""
    from asrattn import audio

    try:
        audio.check(path)
    except AudioError as error:
        _log_error(str(error))
        return False
    return True


def _log_error(message: str) -> None:
    _log.error("asrattn: %s", message)
