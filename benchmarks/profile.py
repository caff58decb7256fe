"""Where the time of a training goes: python -m benchmarks.profile RECIPE.py --data DIR --help.

A short run of the real thing, timed from outside: steps, what they wait for, validation, checkpoints. Then the
inside of some steps by torch's profiler, in kinds of operations.
"""

import argparse
import logging
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile

from asrattn.training import storage
from asrattn.training.fit import fit
from asrattn.training.module import Training
from asrattn.training.recipe import Recipe

KINDS = {  # the first whose word is in the name of an operation
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


class Clock(Callback):
    """Wall seconds of what a run does, by name; a profile of the steps with these numbers of the second epoch."""

    def __init__(self, profiled: range, saving: Callable[[], float]) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.profiled = profiled
        self.saving = saving
        self.operations: dict[str, float] = defaultdict(float)
        self._last = self._saved = 0.0
        self._profile: profile | None = None

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name] += now - self._last
        self._last = now

    def on_train_start(self, *_: Any) -> None:
        self._last, self._saved = time.perf_counter(), self.saving()

    def on_train_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
        self.lap("waiting for input")
        if trainer.current_epoch == 1 and self._step(trainer) in self.profiled:
            self._profile = profile(activities=[ProfilerActivity.CPU], acc_events=True)
            self._profile.start()
        self._last = time.perf_counter()

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        if self._profile is None:
            self.lap("steps")
            return
        self._profile.stop()
        for event in self._profile.events():  # type: ignore[no-untyped-call]
            self._add(event)
        self._profile = None
        self._last = time.perf_counter()  # what is looked into is slow, and not counted

    def on_validation_start(self, *_: Any) -> None:
        self.lap("between")

    def on_validation_end(self, *_: Any) -> None:
        self.lap("validation")

    def on_train_end(self, *_: Any) -> None:
        self.lap("between")
        self.seconds["checkpoints"] = self.saving() - self._saved
        self.seconds["between"] -= self.seconds["checkpoints"]

    def _step(self, trainer: L.Trainer) -> int:
        assert isinstance(trainer.lightning_module, Training)
        return trainer.lightning_module.steps

    def _add(self, event: FunctionEvent) -> None:
        name = event.name.lower()
        kind = next((k for k, words in KINDS.items() if any(w in name for w in words)), OTHER)
        self.operations[kind] += event.self_cpu_time_total / 1e6


def main(argv: Sequence[str] | None = None) -> None:
    """Print where the time went."""
    parser = argparse.ArgumentParser(description="where the time of a training goes")
    parser.add_argument("recipe", type=Path, metavar="RECIPE.py")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--epochs", type=int, default=5, help="of the run, the last one validated")
    parser.add_argument("--steps", type=int, default=20, help="to look into")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    logging.disable(logging.WARNING)
    recipe = Recipe.load(args.recipe)
    recipe = replace(recipe, train=replace(recipe.train, epochs=args.epochs, validate_every=args.epochs))
    clock = Clock(range(10, 10 + args.steps), timed(storage.AtomicCheckpointIO, "save_checkpoint"))
    with tempfile.TemporaryDirectory() as folder:
        fit(recipe, args.data, Path(folder) / "run", callbacks=(clock,))
    print(
        f"{recipe.name}, {args.threads} threads, {args.epochs} epochs and one validation, in {total(clock):.0f} s"
    )
    show(clock.seconds)
    print(f"\ninside {args.steps} steps:")
    show(clock.operations)


def total(clock: Clock) -> float:
    return sum(clock.seconds.values())


def show(seconds: dict[str, float]) -> None:
    whole = sum(seconds.values())
    for name, each in sorted(seconds.items(), key=lambda pair: -pair[1]):
        print(f"  {name:34} {each:8.2f} s   {100 * each / whole:5.1f} %")


def timed(kind: type, name: str) -> Callable[[], float]:
    """Let a method note its time; what is returned tells the sum."""
    inner, spent = getattr(kind, name), [0.0]

    def outer(*args: Any, **kwargs: Any) -> Any:
        start = time.perf_counter()
        try:
            return inner(*args, **kwargs)
        finally:
            spent[0] += time.perf_counter() - start

    setattr(kind, name, outer)
    return lambda: spent[0]


if __name__ == "__main__":
    main()
