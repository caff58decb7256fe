"""WER, CPU-seconds and memory of a Whisper in several programs, one thread, on one manifest, in one run.

    python -m benchmarks.whisper MODEL… --hf FOLDER --manifest data/commonvoice/test.jsonl

MODEL: model files of asrattn, such as one as imported, one with --silence-samples, one adapted. transformers and
faster-whisper run the Hugging Face folder and its CTranslate2 form, which is made beside it. Each system runs in a
process of its own, from audio files in memory to texts; loading counts not. WER: texts normalised as English.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from asrattn import audio, metrics
from asrattn.audio.interface import Wave
from asrattn.data import manifest
from asrattn.metrics.normalize import NORMALIZERS

RATE = 16000
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
Transcribe = Callable[[Sequence[Wave]], list[str]]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", metavar="MODEL", help="model files of asrattn")
    parser.add_argument(
        "--hf", type=Path, help="the Whisper as a Hugging Face folder, for transformers and faster-whisper"
    )
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--limit", type=int, help="the first utterances only")
    parser.add_argument("--beams", type=int, nargs="+", default=[1, 5])
    parser.add_argument(
        "--rounds", type=int, default=1, help="each system so many times, in turns; the fastest counts"
    )
    parser.add_argument("--system", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.system:
        _measure(args)
        return
    systems = [f"asrattn:{model}:{beam}" for model in args.models for beam in args.beams]
    with tempfile.TemporaryDirectory() as folder:
        if args.hf:
            converted = Path(folder) / "ct2"
            _convert(args.hf, converted)
            kinds = ("int8", "float32")
            systems += [f"faster-whisper:{converted}:{kind}:{beam}" for kind in kinds for beam in args.beams]
            systems.append(f"transformers:{args.hf}:1")
        best: dict[str, dict[str, Any]] = {}
        for turn in range(args.rounds):
            for system in systems if turn % 2 == 0 else systems[::-1]:
                found = _run(system)
                if system not in best or found["cpu"] < best[system]["cpu"]:
                    best[system] = found
                print(_row(system, found), flush=True)
        if args.rounds > 1:
            print("fastest of each:")
            for system, found in best.items():
                print(_row(system, found))


def _convert(source: Path, target: Path) -> None:
    from asrattn.convert import ctranslate2, huggingface

    ctranslate2.write(target, huggingface.read(source))


def _run(system: str) -> dict[str, Any]:
    environment = os.environ | dict.fromkeys(THREADS, "1") | {"HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "benchmarks.whisper", *sys.argv[1:], "--system", system]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _row(system: str, found: dict[str, Any]) -> str:
    name, path, *rest = system.split(":")
    label = " ".join([name, Path(path).name if name == "asrattn" else "", *rest]).replace("  ", " ")
    low, high = found["interval"]
    return (
        f"{label:44} WER {found['wer']:5.1f} % [{low:.1f}, {high:.1f}]   {found['cpu']:.3f} CPU-s a second   "
        f"{found['memory'] / 1e9:.2f} GB"
    )


def _measure(args: argparse.Namespace) -> None:
    utterances = list(manifest.read(args.manifest))[: args.limit]
    waves = [audio.read(Path(each.audio), RATE, each.start) for each in utterances]
    transcribe = _load(args.system)
    transcribe(waves[:1])  # kernels, caches
    started = time.process_time()
    texts = transcribe(waves)
    cpu = (time.process_time() - started) / (sum(map(len, waves)) / RATE)
    normalize = NORMALIZERS["english"]
    rows = [
        metrics.score_utterance(each.id, normalize(each.text), normalize(text), each.speaker)
        for each, text in zip(utterances, texts, strict=True)
    ]
    result = metrics.summarize("all", rows)
    found = {
        "wer": 100 * result.wer,
        "interval": [100 * end for end in result.wer_interval],
        "cpu": cpu,
        "memory": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    }
    print(json.dumps(found))


def _load(system: str) -> Transcribe:
    name, path, *rest = system.split(":")
    match name:
        case "asrattn":
            return _asrattn(Path(path), int(rest[0]))
        case "faster-whisper":
            return _faster_whisper(path, rest[0], int(rest[1]))
        case _:
            return _transformers(path, int(rest[0]))


def _asrattn(path: Path, beam: int) -> Transcribe:
    import torch

    from asrattn.inference.recognizer import Recognizer

    torch.set_num_threads(1)
    recognizer = Recognizer.load(path, "cpu")
    decoding = replace(recognizer.decoding, beam_size=beam)

    def transcribe(waves: Sequence[Wave]) -> list[str]:
        texts: dict[int, str] = {}
        order = sorted(range(len(waves)), key=lambda i: -len(waves[i]))
        while order:
            size = max(1, int(60.0 * RATE / len(waves[order[0]])))
            batch, order = order[:size], order[size:]
            found = recognizer.recognize([waves[i] for i in batch], decoding)
            texts |= {i: recognizer.tokenizer.decode(n[0].tokens) for i, n in zip(batch, found, strict=True)}
        return [texts[i] for i in range(len(waves))]

    return transcribe


def _faster_whisper(path: str, kind: str, beam: int) -> Transcribe:
    from faster_whisper import WhisperModel

    model = WhisperModel(path, device="cpu", compute_type=kind, cpu_threads=1, num_workers=1)

    def transcribe(waves: Sequence[Wave]) -> list[str]:
        texts = []
        for wave in waves:
            segments, _ = model.transcribe(
                np.asarray(wave),
                language="en",
                beam_size=beam,
                without_timestamps=True,
                condition_on_previous_text=False,
            )
            texts.append(" ".join(segment.text for segment in segments))
        return texts

    return transcribe


def _transformers(path: str, beam: int) -> Transcribe:
    import torch
    from transformers import AutoTokenizer, WhisperFeatureExtractor, WhisperForConditionalGeneration

    torch.set_num_threads(1)
    model: Any = WhisperForConditionalGeneration.from_pretrained(path, dtype=torch.float32)
    model.eval()
    features, tokenizer = WhisperFeatureExtractor.from_pretrained(path), AutoTokenizer.from_pretrained(path)

    def transcribe(waves: Sequence[Wave]) -> list[str]:
        texts: list[str] = []
        for start in range(0, len(waves), 8):
            batch = list(waves[start : start + 8])
            inputs = features(batch, sampling_rate=RATE, return_tensors="pt").input_features
            with torch.inference_mode():
                tokens = model.generate(inputs, num_beams=beam, max_new_tokens=200)
            texts += tokenizer.batch_decode(tokens, skip_special_tokens=True)
        return texts

    return transcribe


if __name__ == "__main__":
    main()
