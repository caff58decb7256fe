"""`asrattn export MODEL --format hf|ct2|openai --out PATH`: export a fine-tuned Whisper to other programs."""

import argparse
from pathlib import Path

from asrattn import model_file

FORMATS = {
    "hf": "a folder for transformers",
    "ct2": "a folder for faster-whisper (CTranslate2)",
    "openai": "a .pt file for openai-whisper",
}
DTYPES = ("float16", "float32")


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = "Export a Whisper, imported or fine-tuned, to the program that is to use it."
    parser.add_argument(
        "model", type=Path, metavar="MODEL", help="a model file with Whisper's encoder and decoder"
    )
    told = "; ".join(f"{name}: {what}" for name, what in FORMATS.items())
    parser.add_argument("--format", choices=FORMATS, required=True, help=told)
    parser.add_argument("--out", type=Path, required=True, metavar="PATH", help="the folder or file to write")
    parser.add_argument(
        "--dtype", choices=DTYPES, help="type of the weights (default: that of the imported model)"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    model_file.read_speech_model(args.model)
    from asrattn.convert.model_file import export_model

    print(export_model(args.model, args.out, args.format, args.dtype))
    return 0
