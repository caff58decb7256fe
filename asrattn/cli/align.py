"""`asrattn align MODEL MANIFEST`: forced alignment, the word times of known transcripts."""

import argparse
import logging
import math
from pathlib import Path
from typing import TYPE_CHECKING

from asrattn import model_file
from asrattn.cli import options, transcript_output
from asrattn.data import manifest
from asrattn.errors import AsrattnError

if TYPE_CHECKING:
    from asrattn.data.manifest import Utterance
    from asrattn.inference.recognizer import Recognizer
    from asrattn.inference.transcript import Transcript
    from asrattn.inference.word_timing import AlignmentSource

_log = logging.getLogger(__name__)


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = __doc__
    parser.add_argument("model", type=Path, metavar="MODEL", help="a run's model.safetensors")
    parser.add_argument(
        "manifest", type=Path, metavar="MANIFEST", help="utterances with their transcripts (.jsonl)"
    )
    transcript_output.add_format_option(parser, "json")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="a file for each utterance and format, instead of stdout"
    )
    parser.add_argument(
        "--by",
        choices=("ctc", "attention"),
        help="alignment source: the CTC head (default if it is trained), or the decoder's attention",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: auto)")
    options.add_threads(parser)
    options.add_shard(parser, "every N-th utterance only, from the I-th on")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    utterances = list(manifest.read(args.manifest))
    outputs = transcript_output.Outputs([_file_name(u) for u in utterances], args.out, args.format)
    utterances = list(args.shard.select(utterances))
    model_file.read_speech_model(args.model)

    from asrattn.inference.recognizer import Recognizer

    options.use_threads(args)
    recognizer = Recognizer.load(args.model, args.device)
    failed = 0
    for utterance in options.progress_bar(utterances, len(utterances), "utterance"):
        try:
            aligned = align_utterance(recognizer, utterance, args.by)
            outputs.write(aligned, _file_name(utterance), utterance.id)
        except BrokenPipeError:
            raise
        except (AsrattnError, OSError) as error:
            _log.error("asrattn: %s: %s", utterance.id, error)
            failed += 1
    if failed:
        _log.error("asrattn: %d of %d could not be aligned", failed, len(utterances))
    return 1 if failed else 0


def _file_name(utterance: "Utterance") -> str:
    return utterance.id.replace("/", "_")


def align_utterance(
    recognizer: "Recognizer", utterance: "Utterance", source: "AlignmentSource | None"
) -> "Transcript":
    """Raises AudioError, TextError, and DataError for a transcript that does not fit its audio."""
    from asrattn import audio
    from asrattn.inference.transcript import Transcript

    seconds = None if utterance.start is None else utterance.seconds
    path = Path(utterance.audio)
    wave = audio.read(path, recognizer.rate, utterance.start, seconds)
    (words,) = recognizer.align([wave], [recognizer.tokenizer.encode(utterance.text)], source)
    length = len(wave) / recognizer.rate
    return Transcript(utterance.id, path, utterance.text, math.nan, length, tuple(words))
