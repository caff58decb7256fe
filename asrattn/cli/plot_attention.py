"""`asrattn plot-attention MODEL AUDIO`: plot the attention weights of an audio file, as an image and a page."""

import argparse
import logging
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from asrattn import files
from asrattn.cli import options
from asrattn.errors import AudioError

if TYPE_CHECKING:
    from asrattn.attention_metrics import AttentionMetrics
    from asrattn.audio.interface import Wave
    from asrattn.inference.recognizer import Recognizer
    from asrattn.report.plots import UtterancePlot

_log = logging.getLogger(__name__)


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Plot the attention weights of one file: the features above, then every layer and head, a row for each "
        "output token. Writes NAME.attention.png and NAME.attention.html, which is self-contained."
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
    from asrattn.report import plots, render_page

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
    png = plots.render_png(_plot(recognizer, wave, tokens))
    assert png is not None  # there are output tokens
    measured = recognizer.measure_attention([wave], [tokens], aligned=recognizer.decoding.ctc > 0)
    title = f"Attention of {args.audio.name}"
    image = f'<img alt="{escape(title)}" src="{plots.png_data_url(png)}">'
    written = args.out / f"{args.audio.stem}.attention.png", args.out / f"{args.audio.stem}.attention.html"
    written[0].write_bytes(png)
    page = render_page(title, [f"<p>{escape(text)}</p>", _list(measured), image])
    written[1].write_text(page, encoding="utf-8")
    print(text)
    print(
        "   ".join(f"{name} {value:.2f}" for name, value in measured.to_dict().items() if value is not None)
    )
    for path in written:
        print(path)
    return 0


def _plot(recognizer: "Recognizer", wave: "Wave", tokens: list[int]) -> "UtterancePlot":
    from asrattn.report.plots import UtterancePlot

    features, _, pieces, layers = recognizer.compute_attention(wave, tokens)
    heads = [
        (f"layer {layer}, head {head}", weights)
        for layer, layer_weights in enumerate(layers, 1)
        for head, weights in enumerate(layer_weights, 1)
    ]
    if len(heads) == 1:
        heads = [("output", heads[0][1])]
    return UtterancePlot(len(wave) / recognizer.rate, features, None, pieces, heads)


def _list(measured: "AttentionMetrics") -> str:
    """The attention metrics, each in [0, 1]."""
    items = "".join(
        f"<dt>{name}</dt><dd>{'–' if value is None else f'{value:.2f}'}</dd>"
        for name, value in measured.to_dict().items()
    )
    return f"<dl>{items}</dl>"
