"""Output of transcripts on stdout or in files, in the requested formats."""

import argparse
import sys
from collections import Counter
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


class Outputs:
    """Where transcripts go: to stdout, or each into a file for each format in a folder.

    Raises ConfigError if several files would go to stdout in a format that holds one, or two into one file.
    """

    def __init__(self, names: Sequence[str], out: Path | None, formats: Sequence["Format"]) -> None:
        self.out, self.formats = out, formats
        if out is None:
            if len(formats) > 1:
                raise ConfigError("--format: several formats need files; name their folder with --out DIR")
            if len(names) > 1 and formats[0] in ("srt", "vtt", "textgrid"):
                raise ConfigError(
                    f"--format {formats[0]} makes a file for each; name their folder with --out DIR"
                )
            return
        if twice := next((name for name, count in Counter(names).items() if count > 1), None):
            raise ConfigError(
                f"two transcripts would both be written to {out / twice}.{formats[0]}; rename one"
            )
        files.make_folder(out)

    def _target(self, name: str, channel: int | None, form: "Format") -> Path:
        from asrattn.inference.export import SUFFIXES

        assert self.out is not None
        parts = [part for part in name.split("/") if part not in ("", ".", "..")] or ["_"]
        channel_suffix = "" if channel is None else f".{channel}"
        folders = [files.shorten_name(part, "") for part in parts[:-1]]
        return self.out.joinpath(
            *folders, files.shorten_name(parts[-1], f"{channel_suffix}.{SUFFIXES[form]}")
        )

    def exist(self, name: str, channel: int | None = None) -> bool:
        """Whether the files of all formats are there; they are written whole or not at all."""
        return all(self._target(name, channel, form).is_file() for form in self.formats)

    def write(self, transcript: "Transcript", name: str, label: str = "") -> None:
        """A file in each format, whole or not at all; or print on stdout, above the progress bar if there is one.

        name    of the files, one of those that were announced
        label   goes before the text on stdout. Raises OSError.
        """
        from asrattn.inference import export

        if self.out is not None:
            for form in self.formats:
                target = self._target(name, transcript.channel, form)
                files.write_text(target, export.format_transcript(transcript, form))
            return
        from tqdm import tqdm

        text = export.format_transcript(transcript, self.formats[0])
        if self.formats[0] == "txt" and label:
            text = f"{files.printable(label)}\t{text}"
        tqdm.write(_encodable(text), file=sys.stdout, end="")


def _encodable(text: str) -> str:
    """What the encoding of stdout lacks is escaped; in JSON that is the same character."""
    encoding = sys.stdout.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)
