"""A table with faults: python -m benchmarks.bad_table --help.

Rows of a corpus, one in a hundred of them with a fault of each kind, prepared by `data_prep folder --table`. Every good
row must be in the manifest with its text; every bad one in dropped.tsv with its line number.
"""

import argparse
import csv
import random
import re
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from asrattn import audio
from asrattn.data import manifest
from data_prep import folder
from data_prep.build import DROPPED_FILENAME, PrepOptions
from data_prep.table_entries import TableColumns

FAULT_FRACTION = 0.01  # of the rows, for each kind
FILE_COUNT = 100  # files, each linked many times under the names of the rows
RATE = 8000

Fault = Callable[[str, str, str], bytes]  # delimiter, path, text -> the row, without its line end

FAULTS: dict[str, Fault] = {
    "delimiter in the text": lambda d, path, text: f"{path}{d}{text}{d}{text}{d}s1".encode(),
    "line break in the text": lambda d, path, text: f"{path}{d}{text}\nand {text}{d}s1".encode(),
    "too short": lambda d, path, text: path.encode(),
    "trailing delimiter": lambda d, path, text: f"{path}{d}{text}{d}s1{d}".encode(),
    "no text": lambda d, path, text: f"{path}{d} {d}s1".encode(),
    "no path": lambda d, path, text: f"{d}{text}{d}s1".encode(),
    "no such file": lambda d, path, text: f"gone-{path}{d}{text}{d}s1".encode(),
    "another encoding": lambda d, path, text: f"{path}{d}{text} café{d}s1".encode("latin-1"),
    "zero byte": lambda d, path, text: f"{path}{d}{text}\0{d}s1".encode(),
}
QUOTED_FAULTS: dict[str, Fault] = {  # where quotation marks have a meaning
    "open quotation mark": lambda d, path, text: f'{path}{d}"{text}{d}s1'.encode(),
    "mark within a quoted cell": lambda d, path, text: f'{path}{d}"{text}" {text}{d}s1'.encode(),
}


class BadTable(NamedTuple):
    """texts: of the good rows, by id. faults: kinds by the number of the first line of the bad rows; lines: all their
    lines."""

    path: Path
    texts: dict[str, str]
    faults: dict[int, str]
    lines: set[int]


def main(argv: Sequence[str] | None = None) -> None:
    """Print what was read wrong, and seconds and memory."""
    parser = argparse.ArgumentParser(description="data_prep of a table with faults")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--delimiter", choices=["tab", "comma", "semicolon"], default="comma")
    args = parser.parse_args(argv)
    delimiter = {"tab": "\t", "comma": ",", "semicolon": ";"}[args.delimiter]
    with tempfile.TemporaryDirectory() as name:
        table = write_bad_table(Path(name) / "recordings", args.rows, delimiter)
        wall, cpu = time.perf_counter(), time.process_time()
        wrong = prepare(table, Path(name) / "out")
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    kinds = len(set(table.faults.values()))
    print(f"{args.rows:,} rows, {len(table.faults):,} of them bad in {kinds} ways; read wrong: {len(wrong)}")
    print("\n".join(wrong[:20]))
    print(f"{wall:.1f} s, {cpu:.1f} CPU-s, {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


def write_bad_table(source: Path, count: int, delimiter: str, seed: int = 0) -> BadTable:
    """A table of `count` rows and the audio that it names."""
    draw = random.Random(seed)
    source.mkdir(parents=True)
    names = [f"utt{number:06}.wav" for number in range(count)]
    for number, name in enumerate(names):
        if number < FILE_COUNT:
            wave = np.random.default_rng(number).uniform(-0.1, 0.1, RATE // 10).astype(np.float32)
            audio.write(source / name, wave, RATE)
        else:
            (source / name).hardlink_to(source / names[number % FILE_COUNT])
    kinds = FAULTS | (QUOTED_FAULTS if delimiter != "\t" else {})
    chosen = draw.sample(range(count), round(count * FAULT_FRACTION) * len(kinds))
    kind_of = {number: list(kinds)[i % len(kinds)] for i, number in enumerate(chosen)}
    texts: dict[str, str] = {}
    faults: dict[int, str] = {}
    lines: set[int] = set()
    line = 2
    with (source / "list.csv").open("wb") as out:
        out.write(delimiter.join(("path", "text", "speaker")).encode() + b"\r\n")
        for number, name in enumerate(names):
            text = _text(draw, delimiter if number not in kind_of else "\t")
            if number in kind_of:  # one fault in a row: two together may look like a good one
                row = kinds[kind_of[number]](delimiter, name, text)
                faults[line] = kind_of[number]
                lines.update(range(line, line + 1 + row.count(b"\n")))
            else:
                row = f"{name}{delimiter}{_cell(text, delimiter)}{delimiter}s{number % 50}".encode()
                texts[Path(name).stem] = " ".join(text.split())
            out.write(row + b"\r\n")
            line += 1 + row.count(b"\n")
    return BadTable(source / "list.csv", texts, faults, lines)


def _text(draw: random.Random, delimiter: str) -> str:
    """Words; where they can be quoted, some texts hold delimiters, quotation marks or line breaks."""
    words = draw.choices(["say", "the", "number", "née", "twenty-one", "o'clock"], k=draw.randint(1, 9))
    if delimiter != "\t" and draw.random() < 0.1:
        words.insert(draw.randint(0, len(words)), draw.choice([',"so"', "a,b;c", 'he "said"', "so\nto say"]))
    return " ".join(words)


def _cell(text: str, delimiter: str) -> str:
    if not re.search(rf'["\n{delimiter}]', text):
        return text
    return '"' + text.replace('"', '""') + '"'


def prepare(table: BadTable, dest: Path) -> list[str]:
    """Prepare the table; a line for each good row that is not as it was written, and each bad one that was kept."""
    columns = TableColumns(table.path)
    folder.prepare(table.path.parent, dest, PrepOptions(quick=True), columns, 0, 0)
    found = {u.id: u.text for u in manifest.read(dest / "train.jsonl")}
    with (dest / DROPPED_FILENAME).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    reasons = {int(row["reason"].split(":")[1]): row["reason"] for row in rows}
    wrong = [
        f"{id_}: {found.get(id_)!r}, not {text!r}"
        for id_, text in table.texts.items()
        if found.get(id_) != text
    ]
    wrong += [f"{id_}: a bad row was kept" for id_ in found.keys() - table.texts.keys()]
    wrong += [f"line {n}: {kind}: not dropped" for n, kind in table.faults.items() if n not in reasons]
    wrong += [f"line {n}: dropped: {reasons[n]}" for n in reasons.keys() - table.lines]
    return wrong


if __name__ == "__main__":
    main()
