"""Profile of a training: python -m benchmarks.profile RECIPE.py --data DIR --help.

A short run of the real thing, timed from outside: steps, what they wait for, validation, checkpoints. Then the
inside of some steps by torch's profiler, in kinds of operations.
"""

import argparse
import logging
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from asrattn.training.fit import fit
from asrattn.training.recipe import Recipe
from asrattn.training.time_profile import TimeProfiler

OPERATION_KINDS = {  # the first whose word is in the name of an operation
    "recurrent kernels": ("rnn_layer", "mkldnn_rnn", "lstm"),
    "convolutions": ("convolution", "conv2d"),
    "CTC": ("ctc",),
    "optimizer, clipping, average": ("_fused_", "_foreach_", "foreach"),
    "Fourier transforms": ("fft", "stft"),
    "products": ("mm", "_linear_pointwise", "mkldnn_linear", "linear", "baddbmm", "dot"),
    "softmax and norms": ("softmax", "layer_norm"),
    "copies and casts": ("copy_", "cat", "clone", "contiguous", "index", "gather", "fill_", "zero_", "roll"),
}
OTHER = "element by element, and the rest"


class Profiler(TimeProfiler):
    """A TimeProfiler that also profiles some steps of the second epoch, not counted: profiling is slow."""

    def __init__(self, steps: range) -> None:
        super().__init__()
        self.steps = steps
        self.operations: dict[str, float] = defaultdict(float)
        self._profile: profile | None = None

    def on_train_batch_start(self, *hook: Any) -> None:
        super().on_train_batch_start(*hook)
        trainer, module = hook[:2]
        if trainer.current_epoch == 1 and module.steps in self.steps:
            self._profile = profile(activities=[ProfilerActivity.CPU], acc_events=True)
            self._profile.start()

    def on_train_batch_end(self, *hook: Any) -> None:
        if self._profile is None:
            super().on_train_batch_end(*hook)
            return
        self._profile.stop()
        for event in self._profile.events():  # type: ignore[no-untyped-call]
            self.operations[operation_kind(event.name)] += event.self_cpu_time_total / 1e6
        self._profile = None
        self.restart()


def operation_kind(name: str) -> str:
    """Of an operation."""
    return next((k for k, words in OPERATION_KINDS.items() if any(w in name.lower() for w in words)), OTHER)


def main(argv: Sequence[str] | None = None) -> None:
    """Print where the time went."""
    parser = argparse.ArgumentParser(description="where the time of a training goes")
    parser.add_argument("recipe", type=Path, metavar="RECIPE.py")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--epochs", type=int, default=5, help="of the run, the last one validated")
    parser.add_argument("--steps", type=int, default=20, help="to profile")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    logging.disable(logging.WARNING)
    recipe = Recipe.load(args.recipe)
    recipe = replace(recipe, train=replace(recipe.train, epochs=args.epochs, validate_every=args.epochs))
    clock = Profiler(range(10, 10 + args.steps))
    with tempfile.TemporaryDirectory() as folder:
        fit(recipe, args.data, Path(folder) / "run", callbacks=(clock,))
    whole = sum(clock.seconds.values())
    print(f"{recipe.name}, {args.threads} threads, {args.epochs} epochs, one validation: {whole:.0f} s")
    print_seconds(clock.seconds)
    print(f"\ninside {args.steps} steps:")
    print_seconds(clock.operations)


def print_seconds(seconds: dict[str, float]) -> None:
    whole = sum(seconds.values())
    for name, each in sorted(seconds.items(), key=lambda pair: -pair[1]):
        print(f"  {name:34} {each:8.2f} s   {100 * each / whole:5.1f} %")


if __name__ == "__main__":
    main()
