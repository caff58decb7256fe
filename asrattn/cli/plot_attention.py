"""`asrattn plot-attention MODEL AUDIO`: plot the attention weights of an audio file, as an image and a page."""

import argparse
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from asrattn import files
from asrattn.cli import options
from asrattn.errors import AudioError

if TYPE_CHECKING:
    from asrattn.audio.interface import Wave
    from asrattn.inference.recognizer import Recognizer

_log = logging.getLogger(__name__)


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Plot the attention weights of one file, a row for each output token. Writes NAME.attention.png, with the "
        "waveform and the features above, NAME.heads.png with every layer and head, and NAME.attention.html with both, "
        "the recording and the attention metrics."
    )
    parser.add_argument("model", type=Path, metavar="MODEL", help="a run's model.safetensors")
    parser.add_argument("audio", type=Path, metavar="AUDIO", help="an audio file")
    parser.add_argument("--text", help="transcript to align with (default: the model's hypothesis)")
    options.add_recognition(parser)
    parser.add_argument("--out", type=Path, default=Path(), metavar="DIR", help="default: here")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    options.check_recognition(args)
    from asrattn import audio

    audio.check(args.audio)
    files.make_folder(args.out)

    from asrattn.inference.segmentation import read_waves

    recognizer, decoding = options.load_recognizer(args)
    wave, *more = read_waves(args.audio, recognizer.rate)
    if more:
        _log.warning("%s: is split at pauses; this is the first of %d segments", args.audio, 1 + len(more))
    if args.text is None:
        tokens = list(recognizer.recognize([wave], decoding)[0][0].tokens)
    else:
        tokens = recognizer.tokenizer.encode_lossy(args.text)
    if not tokens:
        raise AudioError(f"{args.audio}: the hypothesis is empty; give a transcript with --text")
    text = recognizer.tokenizer.decode(tokens)
    measured = recognizer.measure_attention([wave], [tokens], aligned=recognizer.is_trained("ctc")).to_dict()
    print(text)
    print("   ".join(f"{name} {value:.2f}" for name, value in measured.items() if value is not None))
    for path in _write(args, recognizer, wave, tokens, measured):
        print(path)
    return 0


def _write(
    args: argparse.Namespace,
    recognizer: "Recognizer",
    wave: "Wave",
    tokens: list[int],
    measured: "Mapping[str, float | None]",
) -> list[Path]:
    """Write the images and the page; their paths."""
    from asrattn import audio
    from asrattn.report import attention_page
    from asrattn.report.plots import UtterancePlot, render_png

    found = recognizer.compute_attention(wave, tokens)
    layers = attention_page.head_panels(found.layers, found.alignment_heads)
    heads = [panel for own in layers for panel in own]
    seconds = len(wave) / recognizer.rate
    words = [(word.text, word.start, word.end) for word in recognizer.align([wave], [tokens])[0]]
    overview = UtterancePlot(seconds, found.features, found.weights, found.pieces, wave=wave, words=words)
    plots = {"attention": overview}
    if len(heads) > 1:
        plots["heads"] = UtterancePlot(seconds, found.features, None, found.pieces, heads)
    written = []
    for name, plot in plots.items():
        png = render_png(plot)
        assert png is not None  # there are output tokens
        written.append(args.out / f"{args.audio.stem}.{name}.png")
        written[-1].write_bytes(png)
    written.append(args.out / f"{args.audio.stem}.attention.html")
    flac = bytes(audio.encode(Path("audio.flac"), wave, recognizer.rate))
    title, text = f"Attention of {args.audio.name}", recognizer.tokenizer.decode(tokens)
    attention_page.write_attention_page(written[-1], title, text, overview, layers, measured, flac)
    return written
