"""WER over the number of training recordings, for several beginnings: python -m benchmarks.few_shots DATA --out DIR.

    --start "from nothing" recipes/folder/lstm.py --start Whisper recipes/whisper/finetune.py whisper.safetensors

A start is a name and a recipe, with the model that it begins from; with a whole model it is evaluated as it comes too,
with 0 recordings. Each point is a run of `asrattn train` on the first recordings of train.jsonl, its epoch chosen on
dev, and of `asrattn evaluate` on dev and test. What is in DIR already is not run again. A table, and a plot with
--figure.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from asrattn import model_file
from asrattn.data import manifest
from asrattn.training.recipe import Recipe, load_recipe


class Start(NamedTuple):
    """A beginning: a recipe, and the model that it begins from."""

    name: str
    recipe: Path
    init: Path | None


class Point(NamedTuple):
    """WER on test with its interval, on dev, and the minutes of training."""

    wer: float
    low: float
    high: float
    dev: float
    minutes: float | None


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="WER over the number of training recordings")
    parser.add_argument("data", type=Path, metavar="DATA", help="holds train.jsonl, dev.jsonl and test.jsonl")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--counts", default="0,20,100", help="recordings, with commas between them")
    parser.add_argument("--start", nargs="+", action="append", required=True, metavar="NAME RECIPE [MODEL]")
    parser.add_argument("--threads", default="1")
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="KEY=VALUE")
    parser.add_argument("--figure", type=Path, help="an SVG to draw")
    args = parser.parse_args(argv)
    counts = [int(each) for each in args.counts.split(",")]
    curves: dict[str, dict[int, Point]] = {}
    for words in args.start:
        if len(words) not in (2, 3):
            parser.error(
                f"--start {' '.join(words)}: give a name, a recipe and, if it begins from one, a model"
            )
        name, recipe, *init = words
        start = Start(name, Path(recipe), Path(init[0]) if init else None)
        curves[name] = {}
        for count in counts:
            if count or is_whole(start):
                found = measure(start, count, args.data, args.out, args.threads, args.settings)
                curves[name][count] = found
                cost = f"   {found.minutes:.1f} min" if found.minutes is not None else ""
                print(
                    f"{name:16} {count:5}   dev {found.dev:5.1f}   test {found.wer:5.1f} "
                    f"[{found.low:.1f}, {found.high:.1f}]{cost}",
                    flush=True,
                )
    if args.figure:
        plot(curves, args.figure)


def is_whole(start: Start) -> bool:
    """Whether the model of the start can transcribe before it is trained; a pre-trained encoder alone cannot."""
    if start.init is None:
        return False
    untrained = model_file.read_speech_model(start.init)["card"].get("untrained", ())
    init = load_recipe(start.recipe, Recipe).init
    return "decoder" not in untrained and (init is None or "decoder" in init.parts)


def measure(start: Start, count: int, data: Path, out: Path, threads: str, settings: Sequence[str]) -> Point:
    run = out / f"{start.name.replace(' ', '-')}-{count}"
    model, scores, minutes_file = run / "model.safetensors", run / "scores", run / "minutes"
    if count and not model.exists():
        part = out / f"data-{count}"
        part.mkdir(parents=True, exist_ok=True)
        manifest.write(part / "train.jsonl", manifest.read(data / "train.jsonl")[:count])
        shutil.copy(data / "dev.jsonl", part)
        began = time.perf_counter()
        init = ["--init", str(start.init)] if start.init else []
        changes = [word for each in settings for word in ("--set", each)]
        asrattn("train", start.recipe, *init, "--data", part, "--out", run, "--threads", threads, *changes)
        minutes_file.write_text(f"{(time.perf_counter() - began) / 60:.2f}\n")
    sets = [data / "dev.jsonl", data / "test.jsonl"]
    if not (scores / "test.result.json").exists():
        asrattn("evaluate", model if count else start.init, *sets, "--out", scores, "--threads", threads)
    dev, test = (
        json.loads((scores / f"{name}.result.json").read_text("utf-8"))["results"][0]["wer"]
        for name in ("dev", "test")
    )
    low, high = test["interval"]
    minutes = float(minutes_file.read_text()) if minutes_file.exists() else None
    return Point(100 * test["rate"], 100 * low, 100 * high, 100 * dev["rate"], minutes)


def asrattn(*words: object) -> None:
    program = Path(sys.executable).with_name("asrattn")
    subprocess.run([program, *map(str, words)], check=True, stdout=sys.stderr)


def plot(curves: dict[str, dict[int, Point]], path: Path) -> None:
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.6), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.subplots()
    counts = sorted({count for curve in curves.values() for count in curve})
    for number, (name, curve) in enumerate(curves.items()):
        at = [counts.index(count) + 0.06 * (number - (len(curves) - 1) / 2) for count in curve]
        rates = [point.wer for point in curve.values()]
        below = [point.wer - point.low for point in curve.values()]
        above = [point.high - point.wer for point in curve.values()]
        axes.errorbar(at, rates, [below, above], marker="o", capsize=3, label=name)
    axes.set(xlabel="training recordings", ylabel="test WER, %", ylim=(0, 105))
    axes.set_xticks(range(len(counts)), list(map(str, counts)))
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", fontsize=8)
    figure.savefig(path, format="svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
