"""Output of transcripts on stdout or in files, in the requested formats."""

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

FORMATS = ("txt", "json", "srt", "vtt", "ctm", "textgrid")  # as in inference.export, without importing it

FLAG_MESSAGES = {
    "silence": "no speech detected; hypothesis removed",
    "repeated": "repetition loop",
    "skipped": "possible deletion: more speech than text",
    "doubtful": "low confidence",
}


def add_format_option(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument(
        "--format",
        type=_formats,
        default=[default],
        metavar="F[,F…]",
        help="txt: the text, with several files after the name and a tab; json: one object a line, with the times of "
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
    """The output files by id and format; names are pairs of id and file name. Empty without `out`.

    Raises ConfigError if two would have one path, or several files would go to stdout.
    """
    from asrattn.inference.export import SUFFIXES

    if out is None:
        if len(formats) > 1:
            raise ConfigError("--format: several formats need files; name their folder with --out DIR")
        if len(names) > 1 and formats[0] in ("srt", "vtt", "textgrid"):
            raise ConfigError(
                f"--format {formats[0]} makes a file for each; name their folder with --out DIR"
            )
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
    """Print on stdout, above the progress bar if there is one."""
    from tqdm import tqdm

    from asrattn.inference import export

    text = export.format_transcript(transcript, form)
    if form == "txt" and many:
        text = f"{transcript.id}\t{text}"
    tqdm.write(text, file=sys.stdout, end="")
