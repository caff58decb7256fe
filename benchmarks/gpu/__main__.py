"""One part of the measurements of benchmarks/gpu.sh: python -m benchmarks.gpu PART --help."""

import argparse
import importlib.util
import sys
from collections.abc import Sequence

from asrattn.errors import AsrattnError

PARTS = ("check", "tests", "steps", "features", "decoding", "resume")
PACKAGES = [
    "torch", "torchaudio", "lightning", "numpy", "scipy", "safetensors", "sentencepiece", "matplotlib",
    "tensorboard", "tqdm", "soundfile", "soxr", "jiwer", "pytest", "hypothesis",
]  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables of a part. Status 1 where it fails."""
    parser = argparse.ArgumentParser(description="measurements on a GPU, as Markdown tables")
    parser.add_argument("part", choices=PARTS, help="check: whether the others could run")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--small", action="store_true", help="small sizes, to try the program")
    parser.add_argument(
        "--seconds", type=float, default=180.0, help="after which no measurement begins (steps)"
    )
    args = parser.parse_args(argv)
    try:
        run(args)
    except AsrattnError as error:
        print(f"{args.part}: {error}", file=sys.stderr)
        return 1
    return 0


def run(args: argparse.Namespace) -> None:
    """Each part loads what it needs. Raises AsrattnError where a part fails with a message."""
    match args.part:
        case "check":
            check(args.device)
        case "tests":
            from benchmarks.gpu import tests

            tests.measure(args.device, args.small)
        case "steps":
            from benchmarks.gpu import steps

            steps.measure(args.device, args.small, args.seconds)
        case "features":
            from benchmarks.gpu import inference

            inference.measure_features(args.device, args.small)
        case "decoding":
            from benchmarks.gpu import inference

            inference.measure_decoding(args.device, args.small)
        case "resume":
            from benchmarks.gpu import resume

            resume.measure(args.device, args.small)


def check(device: str) -> None:
    """Raises AsrattnError if there is no GPU, or a package is missing."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise AsrattnError(f"not installed: {', '.join(missing)}; give --wheels a folder that holds them")
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise AsrattnError("no GPU is found; --device cpu --small tries the program on a CPU")


if __name__ == "__main__":
    sys.exit(main())
