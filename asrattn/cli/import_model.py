"""`asrattn import SOURCE --out MODEL`: import a pre-trained model."""

import argparse
from pathlib import Path

from asrattn.cli import options
from asrattn.errors import ConfigError


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Import a Whisper (Hugging Face folder or hub name, OpenAI's .pt, faster-whisper's CTranslate2 folder), or the "
        "encoder of wav2vec 2.0, HuBERT, WavLM, data2vec-audio or Wav2Vec2-BERT, as a model file."
    )
    parser.add_argument(
        "source", metavar="SOURCE", help="a folder, a file, or a name such as openai/whisper-tiny.en"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the model file to write")
    parser.add_argument(
        "--tokenizer",
        type=Path,
        metavar="FILE",
        help="its tokenizer.json, where the source holds none (.pt files)",
    )
    parser.add_argument(
        "--language", metavar="CODE", help="default language of a multilingual Whisper (default: en)"
    )
    parser.add_argument(
        "--task",
        choices=options.TASKS,
        default=options.TASKS[0],
        help="its default task (default: transcribe)",
    )
    parser.add_argument(
        "--silence-samples",
        type=options.positive_int,
        metavar="N",
        help="of a Whisper: encode N frames, 64 say, for the silence that fills up 30 s; several times as fast for "
        "short audio (default: all of it, as Whisper does)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    if args.out.is_dir():
        raise ConfigError(
            f"--out {args.out}: is a folder; name a file, such as {args.out / 'model.safetensors'}"
        )
    from asrattn.convert.model_file import import_model

    print(import_model(args.source, args.out, args.tokenizer, args.language, args.task, args.silence_samples))
    return 0
