"""How long until a command tells what is wrong, and what its imports cost: python -m benchmarks.startup --help.

Every command runs in fresh processes, one after the other in turns; the medians are printed.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

RECIPE = Path(__file__).resolve().parents[1] / "recipes" / "demo" / "lstm.py"
WRONG = {  # run in an empty folder
    "train, misspelt setting": f"train {RECIPE} --data . --out out --set model.encoder.layrs=2",
    "train, no data": f"train {RECIPE} --data absent --out out",
    "search, no data": f"search {RECIPE} --data absent --out out --space train.ema=0..0.9 --budget 3",
    "ablate, no data": f"ablate {RECIPE} --data absent --out out --vary train.ema=0,0.9",
    "transcribe, no model": "transcribe absent absent.wav",
    "evaluate, no manifest": "evaluate absent absent.jsonl",
    "align, no manifest": "align absent absent.jsonl",
    "attend, no sound": "attend absent absent.wav",
    "tune, no manifest": "tune absent absent.jsonl",
    "listen, no model": "listen absent",
    "check, no manifest": "check absent.jsonl",
    "describe, no recipe": "describe absent.py",
    "describe, no model": "describe absent",
    "reproduce, no model": "reproduce absent",
    "score, no manifest": "score absent.jsonl absent.jsonl",
    "compare, no manifest": "compare absent.jsonl a.jsonl b.jsonl",
    "rover, no hypotheses": "rover absent.jsonl a.jsonl b.jsonl",
    "lm train, no text": "lm train absent --out lm.arpa",
    "lm train-neural, no recipe": "lm train-neural absent.py t --dev t --tokenizer m --out out",
    "lm perplexity, no text": "lm perplexity absent absent",
}
STARTS = {
    "a recipe": "asrattn.training.recipe",
    "train": "asrattn.training.fit",
    "transcribe": "asrattn.inference.recognizer",
    "evaluate": "asrattn.inference.recognizer, asrattn.report",
    "score": "asrattn.metrics",
    "torch alone": "torch",
    "lightning alone": "lightning",
}


def main(argv: Sequence[str] | None = None) -> None:
    """Print a line for each command, then one for each start: seconds of the clock, and of the processor."""
    parser = argparse.ArgumentParser(description="seconds until told, and seconds of imports")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=["wrong", "imports"], help="default: both")
    args = parser.parse_args(argv)
    here = str(Path(__file__).resolve().parents[1])
    commands = {name: ["-m", "asrattn.cli.main", *line.split()] for name, line in WRONG.items()}
    commands["data_prep, no source"] = ["-m", "data_prep", "an4", "absent", "out"]
    imports = {name: ["-c", f"import {modules}"] for name, modules in STARTS.items()}
    with tempfile.TemporaryDirectory() as folder:
        if args.only != "imports":
            report("until it is told", commands, args.rounds, folder, here)
        if args.only != "wrong":
            report("imports", imports, args.rounds, folder, here)


def report(title: str, programs: Mapping[str, Sequence[str]], rounds: int, folder: str, path: str) -> None:
    taken = [{name: seconds(words, folder, path) for name, words in programs.items()} for _ in range(rounds)]
    print(f"{title:28} seconds   CPU-seconds")
    for name in programs:
        clock, cpu = (median(each[name][i] for each in taken) for i in range(2))
        print(f"{name:28} {clock:7.2f}   {cpu:11.2f}")


def seconds(words: Sequence[str], folder: str, path: str) -> tuple[float, float]:
    """Of the clock, and of the processor, for a fresh Python with these arguments."""
    before, start = os.times(), time.perf_counter()
    environment = os.environ | {"PYTHONPATH": path}
    subprocess.run([sys.executable, *words], cwd=folder, env=environment, capture_output=True, check=False)
    clock, after = time.perf_counter() - start, os.times()
    own = after.children_user + after.children_system - before.children_user - before.children_system
    return clock, own


if __name__ == "__main__":
    main()
