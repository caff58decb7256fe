"""`asrattn transcribe MODEL AUDIO…`: what is said in sound files."""

import argparse
import glob
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from asrattn.cli import options
from asrattn.errors import AudioError, ConfigError

if TYPE_CHECKING:
    from asrattn.recognizer import Transcript

_log = logging.getLogger(__name__)


def add(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser("transcribe", help="what is said in sound files", description=__doc__)
    parser.add_argument("model", type=Path, metavar="MODEL", help="a run's model.safetensors")
    parser.add_argument(
        "audio", nargs="+", metavar="AUDIO", help="files, folders, quoted patterns, or - for a list on stdin"
    )
    options.add_recognition(parser)
    parser.add_argument(
        "--format",
        choices=("txt", "json"),
        default="txt",
        help="txt: the text, after path and tab where files are many; json: one object a line",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="one file for each sound, instead of stdout")
    options.add_shard(parser, "every N-th file only, from the I-th on")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from asrattn.recognizer import Failure

    paths, failed = _expand(args.audio)
    targets = _targets(paths, args.out, args.format)  # of all files: parts must not write over each other's
    many = len(paths) > 1
    paths = list(args.shard.of(paths))
    recognizer, search = options.recognizer(args)
    outcomes = options.bar(recognizer.transcribe(paths, search), len(paths), "file")
    for path, outcome in zip(paths, outcomes, strict=True):
        if isinstance(outcome, Failure):
            _tell(outcome.message)
            failed += 1
        elif args.out:
            _write(targets[path], _line(outcome, args.format, many=False))
        else:
            _say(_line(outcome, args.format, many=many))
    if failed and len(paths) > 1:
        _tell(f"{failed} of {len(paths)} could not be transcribed")
    return 1 if failed else 0


def _expand(arguments: Sequence[str]) -> tuple[list[Path], int]:
    """The files which the arguments name, each once, and how many arguments name none."""
    found: dict[Path, None] = {}
    failed = 0
    for argument in arguments:
        try:
            found.update(dict.fromkeys(_files(argument)))
        except AudioError as error:
            _tell(str(error))
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
            raise AudioError(f"{path}: holds no sound file ({', '.join(sorted(EXTENSIONS))})")
        yield from files
    elif glob.has_magic(argument) and not path.exists():
        matches = sorted(glob.glob(argument, recursive=True))  # noqa: PTH207 (absolute patterns too)
        if not matches:
            raise AudioError(f"{argument}: no file matches the pattern")
        for match in matches:
            yield from _files(match) if Path(match).is_dir() else [Path(match)]
    else:
        yield path


def _targets(paths: Sequence[Path], out: Path | None, suffix: str) -> dict[Path, Path]:
    """Where the text of each sound goes. Raises ConfigError where two would go to one place."""
    if out is None:
        return {}
    owners: dict[Path, Path] = {}
    for path in paths:
        target = out / f"{path.stem}.{suffix}"
        if target in owners:
            raise ConfigError(
                f"{path} and {owners[target]} would both be written to {target}; use an --out for each folder"
            )
        owners[target] = path
    out.mkdir(parents=True, exist_ok=True)
    return {path: target for target, path in owners.items()}


def _line(transcript: "Transcript", form: str, many: bool) -> str:
    if form == "json":
        plain = {
            "id": transcript.path.stem,
            "path": str(transcript.path),
            "text": transcript.text,
            "score": options.finite(transcript.score),
            "seconds": round(transcript.seconds, 3),
        }
        return json.dumps(plain, ensure_ascii=False)
    return f"{transcript.path}\t{transcript.text}" if many else transcript.text


def _write(target: Path, line: str) -> None:
    draft = target.with_name(target.name + ".part")
    draft.write_text(line + "\n", encoding="utf-8")
    draft.replace(target)


def _say(line: str) -> None:
    from tqdm import tqdm

    tqdm.write(line, file=sys.stdout)  # a bar, where there is one, stays below


def _tell(message: str) -> None:
    _log.error("asrattn: %s", message)
