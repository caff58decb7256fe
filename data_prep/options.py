"""Options that several corpora have."""

import argparse
import codecs
from pathlib import Path

from asrattn.cpu_count import usable_cpus
from asrattn.sharding import UNSHARDED, JobShard
from data_prep.delimited import DELIMITER_NAMES
from data_prep.table import TableFormat
from data_prep.table_entries import TableColumns


def add_work(parser: argparse.ArgumentParser, shard_help: str) -> None:
    parser.add_argument(
        "--jobs",
        metavar="N",
        type=count,
        default=usable_cpus(),
        help="files opened in parallel (%(default)s)",
    )
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="random seed (%(default)s)")
    parser.add_argument(
        "--shard",
        metavar="I/N",
        type=JobShard.parse,
        default=UNSHARDED,
        dest="job_shard",
        help=f"{shard_help} (default: all)",
    )


def add_columns(parser: argparse.ArgumentParser, speaker_default: str) -> None:
    """Which columns of a table hold what, and how it is written."""
    what = {
        "audio": "paths of audio files (default: audio, path, file_name or another usual name)",
        "text": "transcripts (default: text, sentence, transcription or another usual name)",
        "speaker": f"speakers (default: speaker, client_id or another usual name, or else {speaker_default})",
        "split": "train, dev or test (default: a column split; else they are drawn)",
    }
    for name, description in what.items():
        parser.add_argument(f"--{name}-column", metavar="NAME|NUMBER", help=description)
    parser.add_argument(
        "--delimiter",
        metavar="CHAR",
        type=_delimiter,
        help="between the columns: a character, or tab, comma, semicolon, pipe (default: recognised)",
    )
    parser.add_argument(
        "--encoding", metavar="NAME", type=_encoding, help="such as cp1252 (default: UTF-8 or UTF-16)"
    )


def table_columns(args: argparse.Namespace, path: Path) -> TableColumns:
    """What `add_columns` was given."""
    return TableColumns(
        path,
        args.audio_column,
        args.text_column,
        args.speaker_column,
        args.split_column,
        TableFormat(args.delimiter, args.encoding),
    )


def add_shares(parser: argparse.ArgumentParser, default: float | None) -> None:
    """default: None is told by the corpus itself."""
    for name in ("dev", "test"):
        shown = "a tenth of chapters, nothing of published parts" if default is None else "%(default)s"
        parser.add_argument(
            f"--{name}-share",
            metavar="X",
            type=_share,
            default=default,
            help=f"share of train held out as {name} if there is none, by speakers ({shown}; 0: no {name})",
        )


def add_dev_speakers(parser: argparse.ArgumentParser, default: int, of: int) -> None:
    parser.add_argument(
        "--dev-speakers",
        metavar="N",
        type=_natural,
        default=default,
        help=f"speakers held out of the {of} of train as dev, none being published (%(default)s; 0: no dev)",
    )


def _delimiter(text: str) -> str:
    value = DELIMITER_NAMES.get(text.lower(), text)
    if len(value) != 1 or value in "\r\n\0\"'":
        raise argparse.ArgumentTypeError(f"must be one character, or {', '.join(DELIMITER_NAMES)}")
    return value


def _encoding(text: str) -> str:
    try:
        "".encode(codecs.lookup(text).name)
    except LookupError:
        raise argparse.ArgumentTypeError("is not known; use for example utf-8, cp1252 or utf-16") from None
    return text


def count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value


def hours(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError("must be above 0")
    return value


def _natural(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError("must be 0 or more")
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value < 0.5:
        raise argparse.ArgumentTypeError("must be from 0 to below 0.5")
    return value
