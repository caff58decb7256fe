"""`asrattn attend MODEL AUDIO`: what the decoder looks at while it writes, as a picture and a page."""

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
        "Draw the attention of one file: the features above, then every layer and head, a row for each "
        "output. Leaves NAME.attention.png and NAME.attention.html, which opens without a network."
    )
    parser.add_argument("model", type=Path, metavar="MODEL", help="a run's model.safetensors")
    parser.add_argument("audio", type=Path, metavar="AUDIO", help="a sound file")
    parser.add_argument("--text", help="what to write (default: what the model hears)")
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

    recognizer, search = options.load_recognizer(args)
    wave, *more = read_waves(args.audio, recognizer.rate)
    if more:
        _log.warning("%s: is cut at pauses; this is the first of %d pieces", args.audio, 1 + len(more))
    if args.text is None:
        tokens = list(recognizer.recognize([wave], search)[0][0].tokens)
    else:
        tokens = recognizer.tokenizer.encode_lossy(args.text)
    if not tokens:
        raise AudioError(f"{args.audio}: nothing is heard in it; say what to write, with --text")
    text = recognizer.tokenizer.decode(tokens)
    drawn = plots.render_png(_picture(recognizer, wave, tokens))
    assert drawn is not None  # there are outputs
    looks = recognizer.measure_attention([wave], [tokens], aligned=recognizer.decoding.ctc > 0)
    title = f"What is looked at in {args.audio.name}"
    image = f'<img alt="{escape(title)}" src="{plots.png_data_url(drawn)}">'
    found = args.out / f"{args.audio.stem}.attention.png", args.out / f"{args.audio.stem}.attention.html"
    found[0].write_bytes(drawn)
    found[1].write_text(render_page(title, [f"<p>{escape(text)}</p>", _list(looks), image]), encoding="utf-8")
    print(text)
    print("   ".join(f"{name} {value:.2f}" for name, value in looks.to_dict().items() if value is not None))
    for path in found:
        print(path)
    return 0


def _picture(recognizer: "Recognizer", wave: "Wave", tokens: list[int]) -> "UtterancePlot":
    from asrattn.report.plots import UtterancePlot

    features, _, pieces, layers = recognizer.compute_attention(wave, tokens)
    heads = [
        (f"layer {layer}, head {head}", weights)
        for layer, looks in enumerate(layers, 1)
        for head, weights in enumerate(looks, 1)
    ]
    if len(heads) == 1:
        heads = [("output", heads[0][1])]
    return UtterancePlot(len(wave) / recognizer.rate, features, None, pieces, heads)


def _list(looks: "AttentionMetrics") -> str:
    """The measures, each between 0 and 1."""
    items = "".join(
        f"<dt>{name}</dt><dd>{'–' if value is None else f'{value:.2f}'}</dd>"
        for name, value in looks.to_dict().items()
    )
    return f"<dl>{items}</dl>"
