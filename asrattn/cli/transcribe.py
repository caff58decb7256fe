"""`asrattn transcribe MODEL AUDIO…`: transcribe audio files."""

import argparse
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from asrattn.cli import audio_arguments, options, transcript_output
from asrattn.cli.audio_arguments import NamedAudio
from asrattn.errors import AudioError, ConfigError

if TYPE_CHECKING:
    from asrattn.inference.segmentation import AudioRegion
    from asrattn.inference.transcript import Transcript

_log = logging.getLogger(__name__)
_EACH, _MIX = "each", "mix"


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = __doc__
    parser.add_argument("model", type=Path, metavar="MODEL", help="a run's model.safetensors")
    parser.add_argument(
        "audio", nargs="+", metavar="AUDIO", help="files, folders, quoted patterns, or - for a list on stdin"
    )
    options.add_recognition(parser)
    parser.add_argument(
        "--channel",
        type=_channel,
        default=_MIX,
        metavar="N|mix|each",
        help="a channel, from 1; mix: the mean of all (default); each: a transcript for each channel",
    )
    transcript_output.add_format_option(parser, "txt")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="a file for each audio file and format, in the same folders, instead of stdout",
    )
    parser.add_argument(
        "--skip-existing",
        action="store_true",
        help="with --out: skip files whose transcripts are there already",
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


def _channel(text: str) -> str:
    if text not in (_EACH, _MIX) and not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is neither a channel, from 1, nor mix, nor each")
    return text


def run(args: argparse.Namespace) -> int:
    if args.skip_existing and not args.out:
        raise ConfigError("--skip-existing: needs --out DIR, where the transcripts are")
    options.check_recognition(args)
    found, failed = audio_arguments.expand(args.audio)
    # Of all files: shards must not overwrite each other's.
    outputs = transcript_output.Outputs([each.name for each in found], args.out, args.format)
    names = {each.path: each.name for each in found}
    chosen = list(args.shard.select(found))
    regions: list[AudioRegion] = []
    for each in chosen:
        try:
            regions += _regions(each, args.channel)
        except AudioError as error:
            _log.error("asrattn: %s", error)
            failed += 1
    if args.skip_existing:
        done = len(regions)
        regions = [each for each in regions if not outputs.exist(names[each.path], each.channel)]
        _log.info("%d of %d are transcribed already", done - len(regions), done)
    if regions:
        many = len(found) > 1 or args.channel == _EACH

        def write(outcome: "Transcript") -> None:
            outputs.write(outcome, names[outcome.path], _label(outcome) if many else "")

        failed += _transcribe(regions, write, args)
    if failed and len(chosen) > 1:
        _log.error("asrattn: %d of %d could not be transcribed", failed, len(chosen))
    return 1 if failed else 0


def _regions(found: NamedAudio, channel: str) -> "list[AudioRegion]":
    """What is to be transcribed of a file. Raises AudioError if it cannot be opened."""
    from asrattn import audio
    from asrattn.inference.segmentation import AudioRegion

    audio.check(found.path)
    if channel == _EACH:
        channels = range(1, audio.info(found.path).channels + 1)
        return [AudioRegion(found.id, found.path, channel=number) for number in channels]
    return [AudioRegion(found.id, found.path, channel=None if channel == _MIX else int(channel))]


def _transcribe(
    regions: "Sequence[AudioRegion]", write: "Callable[[Transcript], None]", args: argparse.Namespace
) -> int:
    """Write the transcript of each region; return the number of failures, each of which is reported."""
    from asrattn.inference.export import TIMED_FORMATS
    from asrattn.inference.transcript import Failure

    recognizer, decoding = options.load_recognizer(args)
    if args.timestamps:
        recognizer.require_whisper().timestamps = True
    decoding = replace(decoding, nbest=args.nbest)
    words, failed = not TIMED_FORMATS.isdisjoint(args.format), 0
    for outcome in options.progress_bar(
        recognizer.transcribe(regions, decoding, words=words), len(regions), "file"
    ):
        if isinstance(outcome, Failure):
            _log.error("asrattn: %s", outcome.message)
            failed += 1
            continue
        _warn(outcome)
        try:
            write(outcome)
        except BrokenPipeError:
            raise
        except (OSError, ValueError) as error:
            _log.error("asrattn: %s: its transcript cannot be written (%s)", outcome.path, error)
            failed += 1
    return failed


def _warn(outcome: "Transcript") -> None:
    """Say what is odd about the audio and the text."""
    said = [*(transcript_output.FLAG_MESSAGES[flag] for flag in outcome.flags), *outcome.notes]
    if said:
        _log.warning("%s: %s", _label(outcome), "; ".join(said))


def _label(outcome: "Transcript") -> str:
    return str(outcome.path) if outcome.channel is None else f"{outcome.path} (channel {outcome.channel})"
