"""Transcripts on stdout or in files, in the formats that were asked for."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from asrattn import files
from asrattn.errors import ConfigError

if TYPE_CHECKING:
    from asrattn.inference.export import Format
    from asrattn.inference.transcript import Transcript

FORMATS = (
    "txt",
    "json",
    "srt",
    "vtt",
    "ctm",
    "textgrid",
)  # as asrattn.inference.export has them, which needs torch

FLAG_MESSAGES = {
    "silence": "nobody seems to speak; what the decoder made of it is left out",
    "repeated": "a phrase that was written again and again is left once",
    "skipped": "there seems to be more speech than text",
    "doubtful": "the model is not sure of this text",
}


def add_format_option(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument(
        "--format",
        type=_formats,
        default=[default],
        metavar="F[,F…]",
        help="txt: the text, after its name and a tab where there are many; json: one object a line, with the times of "
        f"the words; srt, vtt: subtitles; ctm, textgrid: words with times, for NIST and Praat (default: {default})",
    )


def _formats(text: str) -> list[str]:
    found = list(dict.fromkeys(each.strip().lower() for each in text.split(",")))
    if strange := [each for each in found if each not in FORMATS]:
        raise argparse.ArgumentTypeError(f"{strange[0]!r} is not among {', '.join(FORMATS)}")
    return found


def output_paths(
    names: Sequence[tuple[str, str]], out: Path | None, formats: Sequence["Format"]
) -> dict[str, dict["Format", Path]]:
    """Where what is heard goes, by id and format: names are pairs of id and file name. Empty without `out`.

    Raises ConfigError where two would go to one place, or what is a file of its own to stdout.
    """
    from asrattn.inference.export import SUFFIXES

    if out is None:
        if len(formats) > 1:
            raise ConfigError("--format: several at once are files; say where, with --out DIR")
        if len(names) > 1 and formats[0] in ("srt", "vtt", "textgrid"):
            raise ConfigError(f"--format {formats[0]} makes a file for each; say where, with --out DIR")
        return {}
    owners: dict[str, str] = {}
    for each, name in names:
        if name in owners:
            raise ConfigError(
                f"{each} and {owners[name]} would both be written to {out / name}.{formats[0]}; "
                "use an --out for each folder"
            )
        owners[name] = each
    out.mkdir(parents=True, exist_ok=True)
    return {
        each: {form: out / f"{name}.{SUFFIXES[form]}" for form in formats} for name, each in owners.items()
    }


def write_transcript(transcript: "Transcript", targets: dict["Format", Path]) -> None:
    """A file in each format, whole or not at all."""
    from asrattn.inference import export

    for form, target in targets.items():
        files.write_text(target, export.format_transcript(transcript, form))


def print_transcript(transcript: "Transcript", form: "Format", many: bool) -> None:
    """On stdout; a bar, where there is one, stays below."""
    from tqdm import tqdm

    from asrattn.inference import export

    text = export.format_transcript(transcript, form)
    if form == "txt" and many:
        text = f"{transcript.id}\t{text}"
    tqdm.write(text, file=sys.stdout, end="")
