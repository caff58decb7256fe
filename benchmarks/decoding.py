"""Recognition, speed and WER: python -m benchmarks.decoding MODEL MANIFEST --help.

Files are read, features and frames computed, and searched with beams of several widths, with and without CTC.
"""

import argparse
import resource
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

import torch

from asrattn.data import manifest
from asrattn.inference.recognizer import InferencePrecision, Recognizer
from asrattn.inference.transcript import Transcript
from asrattn.metrics import score_utterance, summarize


def main(argv: Sequence[str] | None = None) -> None:
    """Print a line for each search: CPU-seconds and seconds for a second of audio, and the word error rate."""
    parser = argparse.ArgumentParser(description="real-time factors of a model")
    parser.add_argument("model", type=Path, metavar="MODEL")
    parser.add_argument("manifest", type=Path, metavar="MANIFEST")
    parser.add_argument("--beams", type=int, nargs="+", default=[1, 4, 10])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--batch", type=float, default=60.0, help="seconds of audio decoded at once; 1 is one by one"
    )
    parser.add_argument("--precision", choices=get_args(InferencePrecision), default="fp32")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    recognizer = Recognizer.load(args.model, "cpu", args.precision)
    utterances = manifest.read(args.manifest)
    recognizer.evaluate(
        utterances[:8], batch_seconds=args.batch
    )  # builds kernels, reads files into the page cache
    for beam in args.beams:
        for ctc in (0.0, recognizer.decoding.ctc):
            search = replace(recognizer.decoding, beam_size=beam, ctc=ctc)
            found = recognizer.evaluate(utterances, search, args.batch)
            texts = [o.text if isinstance(o, Transcript) else "" for o in found.outcomes]
            rows = [score_utterance(u.id, u.text, text) for u, text in zip(utterances, texts, strict=True)]
            cpu, wall = found.cpu_seconds / found.audio_seconds, found.wall_seconds / found.audio_seconds
            wer = summarize("", rows).wer
            print(
                f"beam {beam:3}  ctc {ctc:.1f}  {cpu:.4f} CPU-s/audio-s  RTF {wall:.4f}  WER {100 * wer:.1f} %"
            )
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9:.2f} GB")


if __name__ == "__main__":
    main()
